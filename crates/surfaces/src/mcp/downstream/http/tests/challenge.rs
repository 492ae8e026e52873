//! What agents without a good token are told.

use super::*;

#[tokio::test]
async fn a_refused_agent_learns_what_is_wrong_with_its_token_and_where_to_get_one() {
    let (gateway, _) = gateway(LIMITS).await;
    let agent = gateway.agent().await;
    let metadata =
        format!(r#"resource_metadata="http://{}/.well-known/oauth-protected-resource/mcp/up""#, gateway.addr);
    let long = format!("Bearer {}", "t".repeat(crate::limits::BEARER_BYTES_MAX + 1));
    for (path, token, status, challenge) in [
        ("/mcp/up", "", 401, format!(r#"Bearer realm="countersign", scope="read", {metadata}"#)),
        (
            "/mcp/up",
            "Bearer token-x",
            401,
            format!(r#"Bearer realm="countersign", error="invalid_token", scope="read", {metadata}"#),
        ),
        (
            "/mcp/up",
            "Bearer token-s",
            403,
            format!(r#"Bearer realm="countersign", error="insufficient_scope", scope="pay read", {metadata}"#),
        ),
        ("/mcp/up", &long, 401, r#"Bearer realm="countersign", error="invalid_token""#.to_owned()),
        ("/mcp/up?access_token=token-a", "", 400, r#"Bearer realm="countersign", error="invalid_request""#.to_owned()),
        (
            "/mcp/up?a=b&access_token=token-x",
            "Bearer token-a",
            400,
            r#"Bearer realm="countersign", error="invalid_request""#.to_owned(),
        ),
    ] {
        let mut agent = agent.beside().await;
        match token {
            "" => drop(agent.headers.remove(AUTHORIZATION)),
            token => agent.set(AUTHORIZATION, token),
        }
        let mut request = agent.request(Method::POST, call(1, "echo"));
        *request.uri_mut() = path.parse().unwrap();
        let response = agent.client.send(request).await;
        assert_eq!(response.status().as_u16(), status, "{path} {token:.20}");
        assert_eq!(response.headers().get(WWW_AUTHENTICATE).unwrap(), &challenge, "{path} {token:.20}");
    }
}
