// The peer of GET /v1/core/users/me: the same answer from the same table, as such a service is usually written.
import Fastify from 'fastify';
import jwt from '@fastify/jwt';
import pg from 'pg';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });
const app = Fastify();
await app.register(jwt, { secret: process.env.JWT_SECRET });

app.get('/health', async () => ({ status: 'healthy' }));
app.get('/token/:id', async (request) => ({ token: app.jwt.sign({ sub: request.params.id }, { expiresIn: '1h' }) }));
app.get('/v1/core/users/me', { preHandler: (request) => request.jwtVerify() }, async (request, reply) => {
  const { rows } = await pool.query({
    name: 'me',
    text: 'select id, email, name, role, created_at, updated_at from core.users where id = $1',
    values: [request.user.sub],
  });
  if (rows.length === 0) return reply.code(404).send({ error: 'User not found' });
  return rows[0];
});

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) });
