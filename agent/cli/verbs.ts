/** The verbs of `dunlin`: names, options, help. What a verb does is imported when it is used. */
import { Command, InvalidArgumentError, Option } from 'commander'
import { Call } from './call.ts'
import type { Exit } from './exit-codes.ts'
import { Printer } from './printer.ts'
import { addVersionVerbs } from './version-verbs.ts'

type Options = Record<string, unknown>
export type Finish = (code: Exit | void) => void

/** `finish` gets the exit code of the verb that ran. */
export function makeProgram(finish: Finish): Command {
  const program = new Command('dunlin')
    .description('Run functions on edge devices: every acknowledged event is kept until it is delivered.')
    .option('--home <folder>', 'the home to talk to (default: $DUNLIN_HOME, else ./.dunlin upwards, else ~/.dunlin)')
    .version('', '-V, --version', 'print the version')
    .helpCommand('help [verb]', 'show what a verb takes')
    .enablePositionalOptions()
    .exitOverride()
    .showHelpAfterError('(dunlin --help lists what there is)')
    .addHelpText(
      'after',
      `
Examples:
  $ dunlin up                        start a hub and an agent here, with an example
  $ dunlin run hello.py              try a function, without a hub
  $ dunlin deploy ./my-function      sign it, publish it, send it to the device
  $ dunlin get events --follow       watch what arrives at the hub

Exit codes: 0 done, 1 failed, 2 wrong command line, 69 nothing answers, 75 try again later, 77 not permitted, 78 wrong config.`,
    )

  /** A verb that prints. Its last two arguments are commander's. */
  const action =
    <A extends unknown[]>(run: (call: Call, ...args: A) => Promise<Exit | void>) =>
    async (...given: unknown[]): Promise<void> => {
      const command = given.pop() as Command
      const { home, output } = command.optsWithGlobals<{ home?: string; output?: string }>()
      const printer = new Printer({ out: process.stdout, err: process.stderr, isJson: output === 'json', env: process.env })
      const call = new Call({ printer, home, surroundings: { cwd: process.cwd(), env: process.env } })
      try {
        finish(await run(call, ...(given as A)))
      } finally {
        call.close()
      }
    }
  const homeOption = () => new Option('--home <folder>', 'the home to talk to')
  const output = () => new Option('-o, --output <format>', 'how to print').choices(['text', 'json']).default('text')
  const examples = (...lines: string[]) => `\nExamples:\n${lines.map((line) => `  $ dunlin ${line}`).join('\n')}`

  program
    .command('up')
    .description('start a hub and one enrolled agent on this machine, with the example functions and real readings')
    .addOption(new Option('--api-listen <host:port>', 'where the hub serves HTTPS').default(undefined, '127.0.0.1:8443'))
    .addOption(new Option('--gateway-listen <host:port>', 'where devices connect to the hub').default(undefined, '127.0.0.1:8883'))
    .addOption(new Option('--broker-listen <host:port>', "where the device's MQTT broker listens").default(undefined, '127.0.0.1:1883'))
    .addOption(new Option('--http-listen <host:port>', 'where the device serves http triggers').default(undefined, '127.0.0.1:8080'))
    .addOption(homeOption())
    .option('--no-example', 'neither the example functions nor the readings of this machine')
    .addHelpText(
      'after',
      `\nA default port that is taken becomes the next free one; one that you named must be free.\n${examples('up', 'up --home /data/dunlin --broker-listen 0.0.0.0:1883', 'up --no-example')}`,
    )
    .action(action(async (call, options: Options) => (await import('../up/up.ts')).up(call, options)))

  passedOn(
    program,
    'hub',
    'run a hub alone, in the foreground',
    HUB_FLAGS + examples('hub --config hub.yaml', 'hub --data-dir /data/hub --name hub.example.com --api-listen 0.0.0.0:8443'),
  ).action(async (args: string[]) => (await import('./verbs/run-main.ts')).becomeHub(args))
  passedOn(
    program,
    'agent',
    'run an agent alone, in the foreground',
    AGENT_FLAGS +
      examples('agent --config agent.yaml', 'agent --data-dir /data/agent --hub https://hub.example.com:8443 --claim-token-file token'),
  ).action(async (args: string[]) => (await import('./verbs/run-main.ts')).becomeAgent(args))

  program
    .command('run')
    .argument('<folder|file>', 'a folder with function.yaml, or a .py, .ts, .js or .sh file')
    .description('run a function from its source, without a hub')
    .option('--watch', 'take it up anew when a file changes; what is wrong is said and the version before runs on')
    .option('--inspect [port]', 'let a debugger connect: Node 9229, Python (debugpy) 5678, Java 5005', debugPort)
    .option('--inspect-wait [port]', 'the same, and wait for the debugger before the handler is loaded', debugPort)
    .option('--data-dir <folder>', 'keep events and state here (default: a folder that is removed at the end)')
    .option('--broker-listen <host:port>', 'where the MQTT broker listens (default: the first free port from 1883)')
    .option('--http-listen <host:port>', 'where http triggers listen (default: the first free port from 8080)')
    .addHelpText('after', examples('run hello.py', 'run ./my-function --watch', 'run hello.py --inspect'))
    .action(action(async (call, path: string, options: Options) => (await import('./verbs/run.ts')).run(call, path, options)))

  program
    .command('processor')
    .description("run one function as Nuclio's processor does: from its processor.yaml, in the foreground, without a hub")
    .option('--config <file>', 'processor.yaml; the code lies beside it, or where spec.build.path says')
    .option('--platform-config <file>', "Nuclio's platform.yaml: accepted, has no effect")
    .option('--list-runtimes', 'print the runtimes and end')
    .option('--version', 'print the version and end')
    .option('--data-dir <folder>', 'keep events and state here (default: a folder that is removed at the end)')
    .option('--listen <host:port>', 'where http triggers without a port of their own listen (default: the first free port from 8080)')
    .option('--broker-listen <host:port>', 'where the MQTT broker listens (default: it runs only for mqtt triggers without a url)')
    .addHelpText(
      'after',
      examples('processor --config processor.yaml', 'processor --config processor.yaml --data-dir /data/p --listen 0.0.0.0:8080'),
    )
    .action(action(async (call, options: Options) => (await import('./verbs/processor.ts')).processor(call, options)))

  program
    .command('new')
    .argument('[template]', 'what to begin with')
    .argument('[folder]', 'where it goes (default: the name of the template)')
    .description('begin a function: a handler, function.yaml and a first test')
    .option('--name <name>', 'what the function is called (default: the name of the folder)')
    .option('--list', 'list the templates')
    .addOption(output())
    .addHelpText('after', examples('new --list', 'new python pump-watch'))
    .action(
      action(async (call, template: string | undefined, folder: string | undefined, options) =>
        (await import('./verbs/new.ts')).newFunction(call, template, folder, options as never),
      ),
    )

  program
    .command('test')
    .argument('<folder|file>', 'a folder with function.yaml, or a handler file')
    .description('give a function its recorded events and compare what comes of them')
    .option(
      '--cases <file>',
      'cases from here (default: <folder>/tests/*.yaml, or hello.test.yaml beside hello.py); may be repeated',
      collect,
      [],
    )
    .option('--update', 'write what comes into the files as what is expected')
    .addOption(output())
    .addHelpText('after', examples('test ./my-function', 'test hello.py --update', 'test ./my-function --cases night-shift.yaml -o json'))
    .action(action(async (call, path: string, options) => (await import('./verbs/test.ts')).test(call, path, options as never)))

  program
    .command('record')
    .argument('<function>')
    .description('print the next events that a function of this device handles, with what came of them, as cases for "dunlin test"')
    .option('--count <n>', 'so many', whole(1, 1000), 10)
    .option('--timeout <seconds>', 'wait for so long', whole(1, 3600), 60)
    .addOption(output())
    .addOption(homeOption())
    .addHelpText('after', examples('record anomaly --count 20 > tests/recorded.yaml'))
    .action(action(async (call, name: string, options) => (await import('./verbs/record.ts')).record(call, name, options as never)))

  program
    .command('invoke')
    .argument('<function>')
    .description('call a function of this device and print its answer; exit code 1 when its status is 500 or more')
    .option('--body <text|@file>', 'what it gets; @- reads stdin')
    .option('--trigger <name|kind>', 'the trigger it seems to come from (default: the http trigger, else the first)')
    .option('--topic <topic>', 'the topic of the event')
    .option('--qos <n>', 'its QoS', whole(0, 2))
    .option('--retain', 'it seems to be a retained message')
    .option('--method <method>', 'its HTTP method (default: POST, without --trigger and --topic)')
    .option('--path <path>', 'its HTTP path')
    .option('--type <type>', 'its type, as CloudEvents have')
    .option('--content-type <type>', 'default: application/json when the body is an object or array, else text/plain')
    .option('--header <key=value>', 'a header of the event; may be repeated', collect, [])
    .option('--field <key=value>', 'a field of the event, such as a query parameter; may be repeated', collect, [])
    .addOption(output())
    .addOption(homeOption())
    .addHelpText(
      'after',
      examples(
        'invoke anomaly --trigger mqtt --topic sensors/host/cpu --body \'{"value": 12}\'',
        'invoke resize --body @photo.jpg --content-type image/jpeg > small.jpg',
      ),
    )
    .action(action(async (call, name: string, options) => (await import('./verbs/invoke.ts')).invoke(call, name, options as never)))

  program
    .command('deploy')
    .argument('<folder|file>', 'a folder with function.yaml, or a .py, .ts, .js or .sh file')
    .description('publish a function, signed, and assign it to devices')
    .option('--name <name>', 'another name than its config says')
    .option('--alias <alias>', 'run it beside production, under this alias')
    .option('--device <id>', 'a device that shall run it; may be repeated (default: the only one)', collect, [])
    .option('--all', 'every accepted device')
    .option('--wait', 'wait until the devices run it, or have rolled back (default on a terminal)')
    .option('--no-wait', 'do not wait')
    .option('--timeout <seconds>', 'wait for so long', whole(1, 86_400), 120)
    .addOption(output())
    .addOption(homeOption())
    .addHelpText(
      'after',
      examples(
        'deploy ./my-function',
        'deploy ./my-function --alias test',
        'deploy hello.py --device pump-7 --device pump-8 --wait',
        'deploy ./my-function --all -o json',
      ),
    )
    .action(action(async (call, path: string, options) => (await import('./verbs/deploy.ts')).deploy(call, path, options as never)))

  const get = program.command('get').description('list devices, functions, aliases, routes, streams, events, dead-letters')
  get
    .command('devices')
    .description('devices of the hub')
    .addOption(output())
    .addOption(homeOption())
    .addHelpText('after', examples('get devices', 'get devices -o json'))
    .action(action(async (call) => (await import('./verbs/get-devices.ts')).getDevices(call)))
  get
    .command('functions')
    .description('published functions, and where they run')
    .addOption(output())
    .addOption(homeOption())
    .addHelpText('after', examples('get functions'))
    .action(action(async (call) => (await import('./verbs/get-functions.ts')).getFunctions(call)))
  get
    .command('streams')
    .description('streams at the hub: what is stored, and what is missing')
    .option('--device <id>', 'only of this device')
    .addOption(output())
    .addOption(homeOption())
    .addHelpText('after', examples('get streams', 'get streams --device pump-7'))
    .action(action(async (call, options) => (await import('./verbs/get-streams.ts')).getStreams(call, options as never)))
  get
    .command('events')
    .description('events at the hub, the newest last')
    .option('--stream <name>', 'only of this stream')
    .option('--device <id>', 'only of this device')
    .option('--limit <n>', 'so many', whole(1, 1000), 20)
    .option('-f, --follow', 'go on with those that come')
    .addOption(output())
    .addOption(homeOption())
    .addHelpText(
      'after',
      examples('get events', 'get events --stream anomalies --follow', "get events --limit 1000 -o json | jq '.events[].body'"),
    )
    .action(action(async (call, options) => (await import('./verbs/get-events.ts')).getEvents(call, options as never)))
  get
    .command('dead-letters')
    .description('events that a function of this device failed on for good')
    .option('--limit <n>', 'so many', whole(1, 1000), 20)
    .addOption(output())
    .addOption(homeOption())
    .addHelpText('after', examples('get dead-letters'))
    .action(action(async (call, options) => (await import('./verbs/get-dead-letters.ts')).getDeadLetters(call, options as never)))

  program
    .command('create')
    .description('create a claim-token, which lets devices enrol')
    .command('claim-token')
    .description('a token that lets devices enrol; it is shown this once')
    .option('--uses <n>', 'so many devices', whole(1, 100_000), 1)
    .option('--expires <duration>', 'for so long', '24h')
    .option('--label <text>', 'what it is for')
    .addOption(output())
    .addOption(homeOption())
    .addHelpText('after', examples('create claim-token', 'create claim-token --uses 1000 --expires 168h --label "line 4" > token'))
    .action(action(async (call, options) => (await import('./verbs/create-claim-token.ts')).createClaimToken(call, options as never)))
  const del = program.command('delete').description('delete a device, an alias or a route')
  del
    .command('device')
    .argument('<id>')
    .description('decommission a device: its certificate is refused from now on; its events stay')
    .addOption(output())
    .addOption(homeOption())
    .addHelpText('after', examples('delete device pump-7'))
    .action(action(async (call, id: string) => (await import('./verbs/delete-device.ts')).deleteDevice(call, id)))
  addVersionVerbs({ program, get, del }, { action, output, homeOption, examples, collect, whole })
  program
    .command('replay')
    .argument('<id>', 'of a dead letter', whole(1, Number.MAX_SAFE_INTEGER))
    .description('handle a dead letter of this device again')
    .addOption(output())
    .addOption(homeOption())
    .addHelpText('after', examples('replay 3'))
    .action(action(async (call, id: number) => (await import('./verbs/replay.ts')).replay(call, id)))

  program
    .command('status')
    .description('hub, device, link, functions, rates, what waits, dead letters: one screen')
    .addOption(output())
    .addOption(homeOption())
    .addHelpText('after', examples('status', 'status -o json'))
    .action(action(async (call) => (await import('./verbs/status.ts')).status(call)))

  program
    .command('logs')
    .argument('[function]')
    .description('log lines of functions')
    .option('--device <id>', 'of another device, as the hub has them')
    .option('--limit <n>', 'so many', whole(1, 1000), 50)
    .option('-f, --follow', 'go on with those that come')
    .addOption(output())
    .addOption(homeOption())
    .addHelpText('after', examples('logs', 'logs anomaly --follow', 'logs anomaly --device pump-7'))
    .action(action(async (call, name: string | undefined, options) => (await import('./verbs/logs.ts')).logs(call, name, options as never)))

  program
    .command('version')
    .description('versions of dunlin and of its Node')
    .addOption(output())
    .addOption(homeOption())
    .addHelpText('after', examples('version', 'version -o json'))
    .action(action(async (call) => (await import('./verbs/version.ts')).version(call)))

  return program
}

const HUB_FLAGS = `
Flags:
  --config <hub.yaml>           all that follows, and more, from a file
  --data-dir <folder>           database, files, keys
  --name <host>                 a name that devices reach the hub by; may be repeated
  --api-listen <host:port>      HTTPS: operators, enrolment, bundles
  --gateway-listen <host:port>  MQTT over TLS: enrolled devices
  --log-level <level>           debug, info, warn, error
`

const AGENT_FLAGS = `
Flags:
  --config <agent.yaml>         all that follows, and more, from a file
  --data-dir <folder>           events, functions, identity
  --name <device>               the device's name when it enrols (default: the host name)
  --hub <url>                   https://host:port of the hub
  --claim-token-file <file>     enrols the device when it is not yet
  --broker-listen <host:port>   the device's MQTT broker
  --http-listen <host:port>     http triggers
  --log-level <level>           debug, info, warn, error
`

/** A verb whose arguments all go to another program. */
function passedOn(program: Command, name: string, description: string, help: string): Command {
  return program
    .command(name)
    .argument('[flags...]')
    .description(description)
    .allowUnknownOption()
    .passThroughOptions()
    .addHelpText('after', help)
}

/** commander gives `true` when the port is left out. */
function debugPort(text: string): number {
  return whole(1, 65_535)(text)
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value]
}

function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!Number.isInteger(value) || value < min || value > max)
      throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`)
    return value
  }
}
