/** agent.yaml in, AgentConfig out, or one ConfigError that lists every problem. */
import type * as v from 'valibot'
import { AgentDocument } from './agent-schema.ts'
import type { AgentConfig, BrokerConfig } from './agent-types.ts'
import { compileHttpLimits, limitsFault, type HttpServerConfig } from './http-server.ts'
import { type Checked, parseDocument, readConfigText, type Overrides } from './load.ts'

export type * from './agent-types.ts'
export type AgentOverrides = Overrides<AgentDocument>

type Given = v.InferOutput<typeof AgentDocument>

/** `overrides` has the form of agent.yaml and wins over it. */
export function parseAgentConfig(text: string, file: string, overrides: AgentOverrides = {}): AgentConfig {
  return parseDocument(AgentDocument, text, file, overrides, compile)
}

export async function loadAgentConfig(file: string | null, overrides: AgentOverrides = {}): Promise<AgentConfig> {
  return parseAgentConfig(await readConfigText(file), file ?? 'agent.yaml', overrides)
}

function compile(checked: Checked<Given>): AgentConfig {
  const { document, checker, absolute } = checked
  const { hub, store } = document
  if (hub.claimToken !== undefined && hub.claimTokenFile !== undefined) {
    checker.add(['hub', 'claimToken'], 'expected claimToken or claimTokenFile, got both')
  }
  return {
    dataDir: absolute(['dataDir'], document.dataDir),
    name: document.name ?? null,
    hub: {
      url: hub.url?.replace(/\/+$/, '') ?? null,
      claimToken: hub.claimToken ?? null,
      claimTokenFile: hub.claimTokenFile === undefined ? null : absolute(['hub', 'claimTokenFile'], hub.claimTokenFile),
    },
    broker: compileBroker(checked),
    http: compileHttp(checked),
    store: { maxBytes: store.maxBytes, commitIntervalMs: store.commitInterval },
    export: document.export,
    log: document.log,
    functionsDir: document.functionsDir === undefined ? null : absolute(['functionsDir'], document.functionsDir),
  }
}

function compileHttp({ document: { http }, checker, absolute }: Checked<Given>): HttpServerConfig {
  const { listen, tls, allowedHosts } = http
  const limits = compileHttpLimits(http)
  const fault = limitsFault(limits)
  if (fault) checker.add(['http', 'headersTimeout'], fault)
  const pem = (field: 'certFile' | 'keyFile' | 'caFile', given: string): string => absolute(['http', 'tls', field], given)
  return {
    listen,
    tls: tls
      ? {
          certFile: pem('certFile', tls.certFile),
          keyFile: pem('keyFile', tls.keyFile),
          caFile: tls.caFile === undefined ? null : pem('caFile', tls.caFile),
        }
      : null,
    allowedHosts: allowedHosts ?? null,
    limits,
  }
}

function compileBroker({ document: { broker }, checker, absolute }: Checked<Given>): BrokerConfig {
  const names = new Set<string>()
  for (const [index, { name }] of broker.users.entries()) {
    if (names.has(name)) checker.add(['broker', 'users', index, 'name'], `expected each user once, got "${name}" again`)
    names.add(name)
  }
  for (const [index, { user }] of broker.acl.entries()) {
    if (user !== '*' && !names.has(user)) checker.add(['broker', 'acl', index, 'user'], `expected "*" or the name of a user, got "${user}"`)
  }
  const { tls, limits } = broker
  const pem = (field: 'certFile' | 'keyFile' | 'caFile', given: string): string => absolute(['broker', 'tls', field], given)
  const { connectTimeout, keepaliveMax, sessionExpiry, ...others } = limits
  return {
    enabled: broker.enabled,
    listen: broker.listen,
    tls: tls
      ? {
          certFile: pem('certFile', tls.certFile),
          keyFile: pem('keyFile', tls.keyFile),
          caFile: tls.caFile === undefined ? null : pem('caFile', tls.caFile),
        }
      : null,
    allowAnonymous: broker.allowAnonymous,
    users: broker.users,
    acl: broker.acl,
    limits: {
      ...others,
      connectTimeoutMs: connectTimeout,
      keepaliveMaxSeconds: Math.ceil(keepaliveMax / 1000),
      sessionExpiryMs: sessionExpiry,
    },
  }
}
