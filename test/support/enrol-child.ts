/** Enrolment as a process of its own, to be killed at a crash point: enrol-child.ts <hubUrl> <claimToken> <dir>. */
import { enrol } from '../../agent/identity/enrol.ts'

const [hubUrl, claimToken, dir] = process.argv.slice(2) as [string, string, string]
await enrol({ hubUrl, claimToken, name: 'board-1', dir })
