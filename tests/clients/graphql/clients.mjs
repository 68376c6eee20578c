// Real clients against a running engine: ENDPOINT (…/v1/graphql), SECRET, WEBHOOK_SECRET. Ends with 0 where all of them work.
import assert from 'node:assert/strict';
import http from 'node:http';
import { createRequire } from 'node:module';
import { buildClientSchema, getIntrospectionQuery, parse, printSchema } from 'graphql';
import { auditServer } from 'graphql-http';
import { createClient as createWsClient } from 'graphql-ws';
import { createClient as createSseClient } from 'graphql-sse';
import WebSocket from 'ws';

const require = createRequire(import.meta.url);
const endpoint = process.env.ENDPOINT;
const socket = endpoint.replace('http', 'ws');
const headers = { 'x-hasura-admin-secret': process.env.SECRET };
const withSecret = (url, init = {}) => fetch(url, { ...init, headers: { ...init.headers, ...headers } });
const ask = async (query, variables) => {
  const response = await withSecret(endpoint, { method: 'POST', body: JSON.stringify({ query, variables }) });
  return response.json();
};
const metadata = async (type, args) => {
  const url = endpoint.replace('graphql', 'metadata');
  const response = await withSecret(url, { method: 'POST', body: JSON.stringify({ type, args }) });
  assert.equal(response.status, 200, await response.clone().text());
};
const names = 'subscription { author(order_by: {id: asc}) { id name } }';
const rename = (name) =>
  ask('mutation($name: String!) { update_author_by_pk(pk_columns: {id: 1}, _set: {name: $name}) { id } }', { name });

// Calls `start` with a function for each answer; renames after the first and waits for the change.
async function hears(name, start) {
  await rename('before');
  await new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${name}: nothing came`)), 15000);
    let stop;
    const hear = (data) => {
      const seen = data.author[0].name;
      if (seen === 'before') rename(name);
      if (seen === name) {
        clearTimeout(late);
        Promise.resolve(stop).then((stop) => stop?.());
        resolve();
      }
    };
    stop = start(hear, reject);
  });
}

const steps = {
  async 'graphql-http audit'() {
    const results = await auditServer({ url: endpoint, fetchFn: withSecret });
    const failed = results.filter((result) => result.status === 'error');
    assert.deepEqual(failed.map((result) => `${result.id} ${result.name}: ${result.reason}`), []);
    return `${results.filter((result) => result.status === 'ok').length} of ${results.length} ok, none of MUST failed`;
  },

  async 'graphql-ws'() {
    const client = createWsClient({ url: socket, webSocketImpl: WebSocket, connectionParams: { headers } });
    await hears('graphql-ws', (hear, reject) =>
      client.subscribe({ query: names }, { next: ({ data }) => hear(data), error: reject, complete() {} }));
    await client.dispose();
  },

  async 'subscriptions-transport-ws'() {
    const { SubscriptionClient } = require('subscriptions-transport-ws');
    const client = new SubscriptionClient(socket, { connectionParams: { headers } }, WebSocket);
    await hears('subscriptions-transport-ws', (hear, reject) => {
      const { unsubscribe } = client.request({ query: names }).subscribe({ next: ({ data }) => hear(data), error: reject });
      return unsubscribe;
    });
    client.close();
  },

  async 'graphql-sse'() {
    const client = createSseClient({ url: endpoint, headers });
    await hears('graphql-sse', (hear, reject) =>
      client.subscribe({ query: names }, { next: ({ data }) => hear(data), error: reject, complete() {} }));
    client.dispose();
  },

  async 'Apollo Client'() {
    const { ApolloClient, InMemoryCache, HttpLink, gql, split } = require('@apollo/client/core');
    const { GraphQLWsLink } = require('@apollo/client/link/subscriptions');
    const { getMainDefinition } = require('@apollo/client/utilities');
    const ws = createWsClient({ url: socket, webSocketImpl: WebSocket, connectionParams: { headers } });
    const isSubscription = ({ query }) => getMainDefinition(query).operation === 'subscription';
    const link = split(isSubscription, new GraphQLWsLink(ws), new HttpLink({ uri: endpoint, headers, fetch }));
    const client = new ApolloClient({ link, cache: new InMemoryCache() });
    const { data } = await client.query({ query: gql`{ author(order_by: {id: asc}) { id name articles { title } } }` });
    assert.equal(data.author[0].articles.length, 2);
    await client.mutate({ mutation: gql`mutation { update_author_by_pk(pk_columns: {id: 1}, _set: {name: "Apollo"}) { id name } }` });
    const cached = client.readQuery({ query: gql`{ author(order_by: {id: asc}) { id name articles { title } } }` });
    assert.equal(cached.author[0].name, 'Apollo', 'the normalised cache follows');
    await hears('Apollo Client', (hear, reject) => {
      const subscription = client.subscribe({ query: gql(names) }).subscribe({ next: ({ data }) => hear(data), error: reject });
      return () => subscription.unsubscribe();
    });
    client.stop();
    await ws.dispose();
  },

  async urql() {
    const { Client, fetchExchange, subscriptionExchange } = require('@urql/core');
    const ws = createWsClient({ url: socket, webSocketImpl: WebSocket, connectionParams: { headers } });
    const forwardSubscription = (request) => ({
      subscribe: (sink) => ({ unsubscribe: ws.subscribe({ ...request, query: request.query ?? '' }, sink) }),
    });
    const client = new Client({
      url: endpoint,
      fetch,
      fetchOptions: { headers },
      preferGetMethod: false,
      exchanges: [fetchExchange, subscriptionExchange({ forwardSubscription })],
    });
    const result = await client.query('query($n: Int!) { author(limit: $n, order_by: {id: asc}) { id } }', { n: 1 }).toPromise();
    assert.deepEqual(result.data.author.map(({ id }) => id), [1]);
    const failed = await client.query('{ nothing }', {}).toPromise();
    assert.match(failed.error.graphQLErrors[0].message, /field 'nothing' not found/);
    await hears('urql', (hear) => {
      const { unsubscribe } = client.subscription(names, {}).subscribe(({ data }) => data && hear(data));
      return unsubscribe;
    });
    await ws.dispose();
  },

  async 'ra-data-hasura'() {
    const module = require('ra-data-hasura');
    const build = module.default ?? module;
    const provider = await build({ clientOptions: { uri: endpoint, headers, fetch } });
    const list = await provider.getList('article', {
      pagination: { page: 1, perPage: 2 },
      sort: { field: 'id', order: 'ASC' },
      filter: {},
    });
    assert.deepEqual([list.data.length, list.total], [2, 3]);
    const { data: made } = await provider.create('author', { data: { name: 'ra' } });
    const { data: one } = await provider.getOne('author', { id: made.id });
    assert.equal(one.name, 'ra');
    await provider.update('author', { id: made.id, data: { name: 'ra2' }, previousData: one });
    const { data: many } = await provider.getMany('author', { ids: [made.id] });
    assert.equal(many[0].name, 'ra2');
    await provider.delete('author', { id: made.id, previousData: many[0] });
    const left = await provider.getList('author', {
      pagination: { page: 1, perPage: 9 },
      sort: { field: 'id', order: 'ASC' },
      filter: { name: 'ra2' },
    });
    assert.equal(left.total, 0);
  },

  async 'GraphQL Code Generator'() {
    const { codegen } = require('@graphql-codegen/core');
    const { data } = await ask(getIntrospectionQuery());
    const schema = buildClientSchema(data);
    const document = parse('query Authors($least: Int!) { author(where: {id: {_gte: $least}}) { id name articles { title } } }');
    const output = await codegen({
      schema: parse(printSchema(schema)),
      schemaAst: schema,
      documents: [{ location: 'authors.graphql', document }],
      filename: 'types.ts',
      config: {},
      plugins: [{ typescript: {} }, { operations: {} }],
      pluginMap: {
        typescript: require('@graphql-codegen/typescript'),
        operations: require('@graphql-codegen/typescript-operations'),
      },
    });
    assert.match(output, /export type AuthorsQuery = /);
    assert.match(output, /AuthorsQueryVariables = Exact<\{\s*least: Scalars\['Int'\]\['input'\];\s*\}>/);
  },

  async 'standardwebhooks'() {
    const { Webhook } = require('standardwebhooks');
    const told = new Promise((resolve) => {
      const server = http.createServer((request, response) => {
        const chunks = [];
        request.on('data', (chunk) => chunks.push(chunk));
        request.on('end', () => {
          response.end();
          server.close();
          resolve({ headers: request.headers, body: Buffer.concat(chunks).toString() });
        });
      });
      server.listen(0, '127.0.0.1', async () => {
        const webhook = `http://127.0.0.1:${server.address().port}/`;
        await metadata('pg_create_event_trigger', { name: 'signed', table: 'article', webhook, insert: { columns: '*' } });
        await ask('mutation { insert_article_one(object: {title: "Signed", author_id: 1}) { id } }');
      });
    });
    const { headers: sent, body } = await told;
    const verified = new Webhook(process.env.WEBHOOK_SECRET).verify(body, sent);
    assert.equal(verified.event.data.new.title, 'Signed');
    assert.throws(() => new Webhook(process.env.WEBHOOK_SECRET).verify(body + ' ', sent));
    await metadata('pg_delete_event_trigger', { name: 'signed' });
  },
};

for (const [name, step] of Object.entries(steps)) {
  try {
    console.log(`${name}: ${(await step()) ?? 'works'}`);
  } catch (error) {
    console.log(`${name}: FAILED ${error.stack ?? error}`);
    process.exitCode = 1;
  }
}
process.exit();
