// An OpenID provider on loopback. Usage: node oidc_provider.mjs PORT CALLBACK; prints "ready" when it listens.
// Whoever signs in as NAME has the address NAME@example.com, verified unless NAME begins with "unverified". A name
// "new=NAME" is somebody else who has the address of NAME, as does "unverified=NAME" without its being verified.

import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

const [port, callback] = process.argv.slice(2);
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "calendar",
      client_secret: "secret-of-the-calendar-server-32b",
      redirect_uris: [callback],
      grant_types: ["authorization_code"],
      response_types: ["code"],
    },
  ],
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: String(Date.now()), use: "sig", alg: "RS256" }] },
  cookies: { keys: ["cookies-of-the-provider"] },
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      name: `이름 ${id}`,
      email: `${id.split("=").at(-1)}@example.com`,
      email_verified: !id.startsWith("unverified"),
    }),
  }),
});
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
