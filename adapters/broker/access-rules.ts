import type { BrokerAclRule } from '../../config/agent-config.ts'
import type { Authorize, ClientInfo, Verb } from './contract.ts'
import { nameFault } from './names.ts'
import { covers } from '../../config/topic-filter.ts'

/** Topics the agent keeps for itself. */
const OWN_PREFIX = 'dunlin/'

interface CompiledRule {
  readonly user: string
  readonly publish: readonly (readonly string[])[]
  readonly subscribe: readonly (readonly string[])[]
}

/**
 * Who may publish and subscribe what. With rules, what no rule allows is denied. Without any rule, a client that was let in
 * may do everything but Dunlin's own topics. A subscription is allowed only when a rule covers all that it can match.
 */
export function compileAccess(rules: readonly BrokerAclRule[]): Authorize {
  if (rules.length === 0) return (_identity, _verb, topic) => !isOwnTopic(topic)
  const compiled: CompiledRule[] = rules.map(({ user, publish, subscribe }) => ({
    user,
    publish: publish.map((pattern) => pattern.split('/')),
    subscribe: subscribe.map((pattern) => pattern.split('/')),
  }))
  return (identity, verb, topic, client) => {
    const asked = topic.split('/')
    return compiled.some((rule) => (rule.user === '*' || rule.user === identity) && allows(rule, verb, asked, client))
  }
}

/** `$` topics belong to the broker, whatever the rules say; `$share` is not supported. */
export function isReservedTopic(topic: string): boolean {
  return topic.startsWith('$')
}

/** Exactly Dunlin's own topics; a filter such as `#` may be subscribed, see isDeliverable. */
export function isOwnTopic(topic: string): boolean {
  return topic.startsWith(OWN_PREFIX) || topic === 'dunlin'
}

function allows(rule: CompiledRule, verb: Verb, asked: readonly string[], client: ClientInfo): boolean {
  return rule[verb].some((pattern) => {
    const filled = fill(pattern, client)
    return filled !== null && covers(filled, asked)
  })
}

/** Puts the client's id and user in. A name that could widen the pattern, or is missing, makes it match nothing (CVE-2017-7650). */
function fill(pattern: readonly string[], client: ClientInfo): readonly string[] | null {
  const filled: string[] = []
  for (const level of pattern) {
    if (!level.includes('%')) {
      filled.push(level)
      continue
    }
    if (level.includes('%c') && !isSafe(client.clientId)) return null
    if (level.includes('%u') && !isSafe(client.username)) return null
    filled.push(level.replace(/%[cu]/g, (key) => (key === '%c' ? client.clientId : client.username!)))
  }
  return filled
}

function isSafe(name: string | null): boolean {
  return name !== null && name !== '' && nameFault(name) === null
}
