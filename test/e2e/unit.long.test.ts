import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { repositoryRoot } from '../fixtures/repository-root.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'

const SYSTEMD = '/lib/systemd/systemd'
const BOOT_SECONDS_MAX = 120

/** Units that the service needs, without what a machine does when it starts. */
const TARGETS = ['sysinit', 'basic', 'shutdown', 'network-online', 'time-sync']

/**
 * Mounts what systemd and the unit write to, for this namespace only, installs the program where
 * the unit expects it, and becomes systemd.
 */
const BOOT = `#!/bin/sh
set -e
mount --make-rprivate /
ip link set lo up
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd /run/lock
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc
mkdir -p /etc/muster
cp "$1/config.toml" /etc/muster/config.toml
mount -t tmpfs tmpfs /opt
package=/opt/muster/node_modules/muster
mkdir -p $package/node_modules
cp -r "$1/dist" "$1/package.json" $package/
mount --bind "$1/node_modules" $package/node_modules
mount -t tmpfs tmpfs /var/lib
mount -t tmpfs tmpfs /sys/fs/cgroup
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
exec env -i container=unshare PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_UNIT_PATH="$2" \\
  ${SYSTEMD} --system --unit=test.target --log-target=console --show-status=no
`

/** Asks the tracker over HTTP, UDP and the API, and prints the state of its processes. */
const CLIENT = `
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
const infoHash = '%01'.repeat(20)
const announce = '/announce?info_hash=' + infoHash + '&peer_id=-XX0001-000000000001&port=6881&left=0'
const http = await (await fetch('http://127.0.0.1:6969' + announce)).text()
const socket = createSocket('udp4')
const connect = Buffer.alloc(16)
connect.writeBigUInt64BE(0x41727101980n)
socket.send(connect, 6969, '127.0.0.1')
const [udp] = await once(socket, 'message', { signal: AbortSignal.timeout(10_000) })
socket.close()
const ready = (await fetch('http://127.0.0.1:8080/ready')).status
const processes = readdirSync('/proc')
  .filter(name => /^\\d+$/.test(name))
  .map(name => readFileSync('/proc/' + name + '/status', 'latin1'))
  .filter(status => status.startsWith('Name:\\tmuster'))
  .map(status => Object.fromEntries(status.split('\\n').map(line => line.split(/:\\s+/))))
  .map(({ Uid, CapEff, CapBnd, NoNewPrivs, Seccomp }) => ({ Uid, CapEff, CapBnd, NoNewPrivs, Seccomp }))
console.log(JSON.stringify({ http, udpBytes: udp.length, ready, processes }))
`

function clientUnit(folder: string): string {
  return `[Unit]
DefaultDependencies=no
After=muster.service
Requires=muster.service
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
ExecStart=${process.execPath} ${join(folder, 'client.mjs')}
StandardOutput=file:${join(folder, 'answers')}
StandardError=file:${join(folder, 'errors')}
`
}

function writeUnits(folder: string): string {
  const units = join(folder, 'units')
  mkdirSync(units)
  const unit = readFileSync(join(repositoryRoot(), 'systemd/muster.service'), 'utf8')
  const write = (name: string, text: string) => writeFileSync(join(units, name), text)
  write('muster.service', unit.replace(/^ExecStart=\S+/m, `ExecStart=${process.execPath}`))
  write('client.service', clientUnit(folder))
  for (const target of TARGETS) write(`${target}.target`, '[Unit]\nDefaultDependencies=no\n')
  write('test.target', '[Unit]\nDefaultDependencies=no\nWants=muster.service client.service\n')
  return units
}

const NAMESPACES = ['--mount', '--pid', '--fork', '--mount-proc', '--ipc', '--uts', '--net']

/** The output of a systemd in namespaces of its own, which ends when the client has ended. */
async function bootSystemd(folder: string): Promise<string> {
  const units = writeUnits(folder)
  const boot = join(folder, 'boot')
  writeFileSync(boot, BOOT, { mode: 0o700 })
  writeFileSync(join(folder, 'client.mjs'), CLIENT)
  const words = ['-k', '5', String(BOOT_SECONDS_MAX), 'unshare', ...NAMESPACES, '--kill-child']
  const child = spawn('timeout', [...words, boot, repositoryRoot(), units])
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', text => (output += text))
  await once(child, 'close')
  return output
}

function whySkipped(): string | false {
  if (process.getuid?.() !== 0) return 'namespaces and mounts need root'
  return !existsSync(SYSTEMD) && 'systemd is not installed'
}

t.test('under systemd, with all restrictions, the unit serves', { skip: whySkipped() }, async t => {
  const folder = temporaryFolder(t)
  chmodSync(folder, 0o755)
  const output = await bootSystemd(folder)
  if (/unshare failed|mount: .*(denied|not permitted)/.test(output)) {
    t.comment(`this machine does not allow namespaces: ${output}`)
    return
  }
  const [text, errors] = ['answers', 'errors'].map(name => {
    const file = join(folder, name)
    return existsSync(file) ? readFileSync(file, 'utf8') : ''
  })
  if (!text) {
    t.fail(`no answers: ${errors} ${output}`)
    return
  }
  const { http, processes, ready, udpBytes } = JSON.parse(text) as {
    http: string
    processes: { Uid: string }[]
    ready: number
    udpBytes: number
  }
  t.match(http, /^d8:completei1e/)
  t.match({ ready, udpBytes }, { ready: 200, udpBytes: 16 })
  t.ok(processes.length >= 1)
  for (const status of processes) {
    t.notMatch(status.Uid, /\b0\b/, 'not root')
    t.match(status, {
      CapEff: '0000000000000000',
      CapBnd: '0000000000000000',
      NoNewPrivs: '1',
      Seccomp: '2',
    })
  }
})
