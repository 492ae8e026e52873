// Servers and browsers on this machine, for the OAuth tests.

// Listens on a free port of loopback.
export async function withServer(server) {
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  return { server, origin: `http://127.0.0.1:${server.address().port}` };
}

// Follows `url` as a browser would, cookies and all, until it is sent to an address that starts with `until`; gives that address.
export async function browse(url, until) {
  const cookies = new Map();
  let at = new URL(url);
  for (let hop = 0; hop < 20; hop += 1) {
    if (at.href.startsWith(until)) return at;
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(at, { redirect: "manual", headers: { cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [name, value] = line.split(";")[0].split("=");
      cookies.set(name, value);
    }
    const next = response.headers.get("location");
    if (!next) throw new Error(`${at} answered ${response.status} and sends nowhere: ${(await response.text()).slice(0, 500)}`);
    at = new URL(next, at);
  }
  throw new Error(`${url} went round in circles`);
}
