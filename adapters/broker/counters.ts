import type { BrokerCounters } from './contract.ts'

export function newCounters(): BrokerCounters {
  return {
    connectionsRefused: 0,
    connectTimeouts: 0,
    malformed: 0,
    oversized: 0,
    loginsFailed: 0,
    connectsRefused: 0,
    publishesDenied: 0,
    subscribesDenied: 0,
    ingestRefused: 0,
    retainedRefused: 0,
    queueDropped: 0,
    slowDropped: 0,
    slowClosed: 0,
    sessionsExpired: 0,
    takeovers: 0,
    willsRefused: 0,
    persistenceErrors: 0,
  }
}
