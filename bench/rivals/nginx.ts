import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import type { KeyFiles } from './key-files.ts'
import { benchFolder, muster, withFolder } from './muster.ts'
import { absentProgram, type Rival, startProgram } from './rival.ts'

const NGINX = 'nginx'
/** Folders that nginx would otherwise need below /var/lib. */
const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

/**
 * nginx, which terminates TLS and passes requests to muster over kept connections, as
 * docs/operate/proxies.md and Mozilla's recommendations configure it.
 */
export function nginxAndMuster(keys: KeyFiles): Rival {
  return {
    name: 'nginx, muster',
    absent: absentProgram(NGINX),
    async start(options) {
      const keysOfListener = { real_ip: 'X-Real-IP', trusted_proxies: ['127.0.0.1'] }
      const behind = await muster({ listener: keysOfListener }).start(options)
      const folder = benchFolder()
      const port = await freePort()
      const file = join(folder, 'nginx.conf')
      writeFileSync(file, configuration(folder, keys, port, behind.port))
      const started = await startProgram({
        program: NGINX,
        words: ['-c', file, '-e', join(folder, 'error.log')],
        port,
        core: options.core,
      })
      const stop = async () => {
        await started.stop()
        await behind.stop()
      }
      return withFolder({ ...started, behind: behind.pid, stop }, folder)
    },
  }
}

function configuration(folder: string, keys: KeyFiles, port: number, behind: number): string {
  return `daemon off;
pid ${folder}/nginx.pid;
worker_processes 1;
events {
  worker_connections 4096;
}
http {
  access_log off;
  ${TEMPORARY.map(name => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  upstream muster {
    server 127.0.0.1:${behind};
    keepalive 64;
  }
  server {
    listen 127.0.0.1:${port} ssl backlog=4096;
    ssl_certificate ${keys.ssl_cert};
    ssl_certificate_key ${keys.ssl_key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:tracker:10m;
    ssl_session_timeout 1d;
    location / {
      proxy_pass http://muster;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Real-IP $remote_addr;
    }
  }
}
`
}
