// A GraphQL server as somebody else runs one: graphql-js behind graphql-http. It says its address and answers until it is
// killed. What it was asked stands under /asked.
import { createServer } from 'node:http'
import { buildSchema } from 'graphql'
import { createHandler } from 'graphql-http/lib/use/http'

const schema = buildSchema(`
  "Where it is from"
  enum Place { SEA LAND }
  scalar Odd
  interface Named { name: String! }
  type Ship implements Named { name: String! tons(unit: String = "t"): Int home: Place captain: Captain fleet(first: Int!): [Ship!]! }
  type Captain implements Named { name: String! ships: [Ship!]! }
  union Found = Ship | Captain
  input Filter { place: Place = SEA odd: Odd deep: [Filter!] number: Float }
  type Query {
    ship(name: String!): Ship
    named: [Named!]!
    search(filter: Filter): [Found!]!
    echo(filter: Filter!, odd: Odd): String!
    who(header: String!): String
    broken: String
  }
  type Mutation { rename(from: String!, to: String!): Ship }
`)
const ada = { __typename: 'Captain', name: 'Ada', ships: [] }
const ship = (name) => ({ __typename: 'Ship', name, tons: ({ unit }) => (unit === 't' ? 10 : 10000), home: 'SEA', captain: ada,
  fleet: ({ first }) => Array.from({ length: first }, (_, at) => ship(`${name} ${at}`)) })
const root = {
  ship: ({ name }) => (name === 'none' ? null : ship(name)),
  named: [ship('Argo'), ada],
  search: () => [ada, ship('Argo')],
  echo: (args) => JSON.stringify(args),
  who: ({ header }, { headers }) => headers[header],
  broken: () => { throw new Error('it broke') },
  rename: ({ to }) => ship(to),
}
const asked = []
const handler = createHandler({ schema, rootValue: root, context: (request) => ({ headers: request.raw.headers }),
  onOperation: (request, args) => void asked.push(args.document.loc.source.body) })
const server = createServer((request, response) => request.url === '/asked'
  ? response.end(JSON.stringify(asked.splice(0)))
  : handler(request, response))
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`))
