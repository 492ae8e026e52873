// A real authorization server (oidc-provider) for the tests, and a recorder in front of an upstream that says which headers reached it.
//
//   node authority.mjs [--upstream http://127.0.0.1:3001/mcp] [--ttl SECONDS]
//
// Prints one line of JSON: { issuer, recorder }. `GET /seen` at the recorder gives the headers of every request so far. Whoever comes to the server's
// sign-in page is signed in as the account that `login_hint` names, and consents to everything: the tests are about what happens after that.

import { createServer, request as forward } from "node:http";
import { parseArgs } from "node:util";

import Provider from "oidc-provider";

import { withServer } from "./loopback.mjs";

const { values: options } = parseArgs({ options: { upstream: { type: "string" }, ttl: { type: "string", default: "300" } } });

const ACCOUNTS = {
  ana: { email: "ana@corp.example", email_verified: true, groups: ["finance", "bots"] },
  bob: { email: "bob@corp.example", email_verified: false, groups: ["bots"] },
};
const SCOPES = "mcp:use pay";
const SECRET = "the-service-knows-it-and-so-does-the-server";

const authority = await withServer(createServer());
const issuer = authority.origin;
const provider = new Provider(issuer, {
  clients: [
    native("ap-bot"),
    native("nobody"),
    {
      client_id: "service",
      client_secret: SECRET,
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
    },
  ],
  clientDefaults: { id_token_signed_response_alg: "ES256" },
  enabledJWA: { idTokenSigningAlgValues: ["ES256"] },
  extraTokenClaims: (_context, token) => ACCOUNTS[token.accountId],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_context, resource) => ({
        accessTokenFormat: "jwt",
        accessTokenTTL: Number(options.ttl),
        audience: resource,
        jwt: { sign: { alg: "ES256" } },
        scope: SCOPES,
      }),
      useGrantedResource: () => true,
    },
  },
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, ...ACCOUNTS[id] }) }),
  interactions: { url: (_context, interaction) => `/sign-in/${interaction.uid}` },
  issueRefreshToken: (_context, client) => client.grantTypeAllowed("refresh_token"),
  jwks: { keys: [await signingKey()] },
  rotateRefreshToken: true,
  scopes: ["openid", "offline_access"],
});
const answer = provider.callback();
authority.server.on("request", (request, response) => {
  if (request.url.startsWith("/sign-in/")) signIn(request, response).catch((error) => fail(response, error));
  else answer(request, response);
});

const seen = [];
const recorder = await withServer(createServer((request, response) => (request.url === "/seen" ? tell(response) : record(request, response))));
console.log(JSON.stringify({ issuer, recorder: recorder.origin, secret: SECRET }));

// A client without a secret, on this machine, on any port (RFC 8252, section 7.3).
function native(id) {
  return {
    client_id: id,
    application_type: "native",
    grant_types: ["authorization_code", "refresh_token"],
    redirect_uris: ["http://127.0.0.1/callback"],
    token_endpoint_auth_method: "none",
  };
}

async function signingKey() {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  return { ...(await crypto.subtle.exportKey("jwk", pair.privateKey)), key_ops: undefined, ext: undefined, alg: "ES256", use: "sig", kid: "first" };
}

async function signIn(request, response) {
  const { params, prompt, grantId } = await provider.interactionDetails(request, response);
  const accountId = params.login_hint ?? "ana";
  const grant = grantId ? await provider.Grant.find(grantId) : new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope("openid offline_access");
  for (const resource of [params.resource].flat().filter(Boolean)) grant.addResourceScope(resource, params.scope ?? SCOPES);
  const consent = { grantId: await grant.save() };
  await provider.interactionFinished(request, response, { login: { accountId }, consent }, { mergeWithLastSubmission: prompt.name !== "login" });
}

function fail(response, error) {
  response.writeHead(500).end(String(error));
}

function tell(response) {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(seen));
}

function record(request, response) {
  seen.push(request.headers);
  const upstream = new URL(options.upstream);
  const headers = { ...request.headers, host: upstream.host };
  const onward = forward({ host: upstream.hostname, port: upstream.port, path: upstream.pathname, method: request.method, headers }, (answered) => {
    response.writeHead(answered.statusCode, answered.headers);
    answered.pipe(response);
  });
  onward.on("error", (error) => (response.headersSent ? response.destroy() : fail(response, error)));
  response.on("close", () => onward.destroy());
  request.pipe(onward);
}
