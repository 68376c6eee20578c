// A short-link service as many are written: the visit is a row before the redirect is sent.
import Fastify from "fastify";
import pg from "pg";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });
const app = Fastify();
const find = { name: "find", text: "select id, target_url from links.links where slug = $1 and is_active" };
const visit = { name: "visit", text: "insert into public.visits (link_id, ip, user_agent, referer) values ($1, $2, $3, $4)" };

app.get("/l/:slug", async (request, reply) => {
  const found = (await pool.query({ ...find, values: [request.params.slug] })).rows[0];
  if (!found) return reply.code(404).send({ error: "not found" });
  const { "user-agent": agent, referer } = request.headers;
  await pool.query({ ...visit, values: [found.id, request.ip, agent ?? null, referer ?? null] });
  return reply.redirect(found.target_url, 302);
});

await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
