/** A real HTTPS server of the test's CA whose answers the test decides; it remembers what it was asked. */
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { TestCa, type TestCertificate } from './test-ca.ts'

export type Answer = (request: IncomingMessage, response: ServerResponse, body: Buffer) => unknown

export class FakeHttps {
  readonly ca: TestCa
  readonly requests: string[] = []
  /** Answers by path; the longest prefix wins; else 404. */
  readonly answers = new Map<string, Answer>()
  readonly #certificate: TestCertificate
  readonly #chain: string
  #server: https.Server | undefined
  port = 0

  private constructor(ca: TestCa, certificate: TestCertificate, chain: string) {
    this.ca = ca
    this.#certificate = certificate
    this.#chain = chain
  }

  static async open(t: { teardown(fn: () => unknown): void }, options: { ca?: TestCa; showCa?: TestCa } = {}): Promise<FakeHttps> {
    const ca = options.ca ?? (await TestCa.make())
    const fake = new FakeHttps(ca, await ca.server(), (options.showCa ?? ca).certificate)
    await fake.start()
    t.teardown(() => fake.stop())
    return fake
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`
  }

  async start(): Promise<void> {
    const { certificate, key } = this.#certificate
    const server = https.createServer({
      cert: `${certificate}\n${this.#chain}`,
      key,
      ca: this.ca.certificate,
      requestCert: true,
      rejectUnauthorized: false,
    })
    server.on('request', (request, response) => void this.#answer(request, response))
    server.on('tlsClientError', () => {})
    server.listen(this.port, '127.0.0.1')
    await once(server, 'listening')
    this.port = (server.address() as AddressInfo).port
    this.#server = server
  }

  async stop(): Promise<void> {
    const server = this.#server
    if (!server) return
    this.#server = undefined
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }

  json(path: string, value: unknown, status = 200): void {
    this.answers.set(path, (_request, response) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value)),
    )
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? ''
    this.requests.push(path)
    const chunks: Buffer[] = []
    request.on('error', () => {})
    response.on('error', () => {})
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer)
    } catch {
      return
    }
    const known = [...this.answers.keys()].filter((prefix) => path.startsWith(prefix)).sort((a, b) => b.length - a.length)[0]
    if (known === undefined)
      return void response.writeHead(404).end(JSON.stringify({ error: { code: 'not-found', message: 'Nothing is here' } }))
    await this.answers.get(known)!(request, response, Buffer.concat(chunks))
  }
}
