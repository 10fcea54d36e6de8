/** The verbs about aliases and routes. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Call } from './call.ts'
import type { Exit } from './exit-codes.ts'

/** What makes verbs look alike; verbs.ts has them. */
export interface VerbTools {
  readonly action: (run: (call: Call, ...args: never[]) => Promise<Exit | void>) => (...given: unknown[]) => Promise<void>
  readonly output: () => Option
  readonly homeOption: () => Option
  readonly examples: (...lines: string[]) => string
  readonly collect: (value: string, before: readonly string[]) => string[]
  readonly whole: (min: number, max: number) => (text: string) => number
}

interface Groups {
  readonly program: Command
  readonly get: Command
  readonly del: Command
}

export function addVersionVerbs({ program, get, del }: Groups, { action, output, homeOption, examples, collect, whole }: VerbTools): void {
  const devices = (command: Command): Command =>
    command
      .option('--device <id>', 'of this device; may be repeated (default: the only one)', collect, [])
      .option('--all', 'every device that has it')
  const here = () => new Option('--here', 'on this device alone, through its own API; counts while no release names routes')
  const conditions = (command: Command): Command =>
    command
      .option('--path <path>', 'HTTP requests to this path and below it')
      .option('--topic <filter>', 'messages whose topic this filter matches')
      .option('--trigger <name>', 'events of this trigger')
      .option('--percent <n>', 'so many of a hundred', percent)

  get
    .command('aliases')
    .argument('[function]')
    .description('aliases of functions: which version each has, and how it is doing')
    .addOption(output())
    .addOption(homeOption())
    .addHelpText('after', examples('get aliases', 'get aliases pump-watch'))
    .action(action(async (call, name: string | undefined) => (await import('./verbs/get-aliases.ts')).getAliases(call, name)))
  devices(get.command('routes').argument('<function>').description('which events of a function go to which alias'))
    .addOption(here())
    .addOption(output())
    .addOption(homeOption())
    .addHelpText('after', examples('get routes pump-watch', 'get routes pump-watch --here'))
    .action(action(async (call, name: string, options) => (await import('./verbs/routes.ts')).getRoutes(call, name, options)))

  const set = program.command('set').description('set a route: which events of a function go to which alias')
  devices(
    conditions(
      set
        .command('route')
        .argument('<function>')
        .description('send events to an alias; a route for the same events is replaced. The first route that fits an event counts')
        .option('--alias <alias>', 'where they go')
        .option('--to-version <n>', 'where they go: the alias that runs this version', whole(1, Number.MAX_SAFE_INTEGER)),
    ).addOption(
      new Option('--by <what>', 'what --percent is taken of: each event, or all events of an order key together').choices([
        'event',
        'orderKey',
      ]),
    ),
  )
    .option('--first', 'before all other routes')
    .addOption(here())
    .addOption(output())
    .addOption(homeOption())
    .addHelpText(
      'after',
      examples('set route pump-watch --path /beta --alias test', 'set route pump-watch --percent 10 --by orderKey --alias canary --all'),
    )
    .action(action(async (call, name: string, options) => (await import('./verbs/routes.ts')).setRoute(call, name, options)))

  devices(
    conditions(del.command('route').argument('<function>').description('delete routes: those that have all that is named')).option(
      '--alias <alias>',
      'those that go there',
    ),
  )
    .option('--all-routes', 'all of them: what the device or function.yaml says counts again')
    .addOption(here())
    .addOption(output())
    .addOption(homeOption())
    .addHelpText('after', examples('delete route pump-watch --path /beta', 'delete route pump-watch --all-routes'))
    .action(action(async (call, name: string, options) => (await import('./verbs/routes.ts')).deleteRoute(call, name, options)))
  devices(
    del
      .command('alias')
      .argument('<function>')
      .argument('<alias>')
      .description('stop an alias and delete the routes to it; events that wait for it go to production'),
  )
    .addOption(output())
    .addOption(homeOption())
    .addHelpText('after', examples('delete alias pump-watch test'))
    .action(
      action(async (call, name: string, alias: string, options) =>
        (await import('./verbs/promote.ts')).deleteAlias(call, name, alias, options),
      ),
    )

  devices(
    program
      .command('promote')
      .argument('<function>')
      .argument('<alias>')
      .description('make the version of an alias the production version')
      .option('--delete', 'delete the alias and its routes when production runs the version'),
  )
    .option('--wait', 'wait until the devices run it, or have rolled back (default on a terminal)')
    .option('--no-wait', 'do not wait')
    .option('--timeout <seconds>', 'wait for so long', whole(1, 86_400), 120)
    .addOption(output())
    .addOption(homeOption())
    .addHelpText('after', examples('promote pump-watch test', 'promote pump-watch canary --all --delete'))
    .action(
      action(async (call, name: string, alias: string, options) =>
        (await import('./verbs/promote.ts')).promote(call, name, alias, options),
      ),
    )

  program
    .command('move')
    .description('move waiting: events that wait where nobody takes them')
    .command('waiting')
    .argument('<from>', 'function/trigger, as "dunlin status" names what is unserved')
    .argument('<to>', 'function/trigger that takes them')
    .description('what waits on this device for a trigger, alias or function that is no more becomes events of another trigger')
    .addOption(output())
    .addOption(homeOption())
    .addHelpText('after', examples('move waiting pump-watch/old pump-watch/pumps'))
    .action(action(async (call, from: string, to: string) => (await import('./verbs/move-waiting.ts')).moveWaiting(call, from, to)))
}

function percent(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= 0 && value <= 100)) throw new InvalidArgumentError('Expected a number from 0 to 100.')
  return value
}
