import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * A stand-in for micromamba: it speaks the words and the JSON of the real one, for a channel that is a folder of files. Its
 * environments are the machine's Python under another name.
 */
export function standInConda(folder: string): { bin: string; noarch: string; calls: string } {
  const [bin, channel, calls] = ['bin', 'channel', 'calls'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  const noarch = join(channel, 'noarch')
  for (const one of [bin, noarch]) mkdirSync(one, { recursive: true })
  for (const name of ['_mutex-1', 'python-3.11.9', 'numpy-1.26.4', 'numpy-2.0.0'])
    writeFileSync(join(noarch, `${name}-0.conda`), name)
  writeFileSync(join(bin, 'micromamba'), program({ channel, calls }))
  chmodSync(join(bin, 'micromamba'), 0o755)
  return { bin, noarch, calls }
}

const program = ({ channel, calls }: { channel: string; calls: string }): string => `#!/usr/bin/env python3
import hashlib, json, os, sys, urllib.parse
args = sys.argv[1:]
open(${JSON.stringify(calls)}, 'a').write(' '.join(args) + '\\n')
prefix = args[args.index('-p') + 1]
channel = ${JSON.stringify(channel)}
def record(spec):
    name, version = spec.split('=')
    path = os.path.join(channel, 'noarch', f'{name}-{version}-0.conda')
    if not os.path.exists(path):
        print(json.dumps({'success': False, 'message': f'nothing provides {spec}'}))
        sys.exit(1)
    data = open(path, 'rb').read()
    return {'name': name, 'version': version, 'url': 'file://' + path, 'md5': hashlib.md5(data).hexdigest(),
            'sha256': hashlib.sha256(data).hexdigest()}
if '--dry-run' in args:
    assert not os.listdir(os.environ['CONDA_PKGS_DIRS'])
    specs = [one for one in args if '=' in one]
    records = [record(one) for one in ['_mutex=1', *specs]]
    print(json.dumps({'actions': {'FETCH': records, 'LINK': records}, 'dry_run': True, 'success': True}))
    sys.exit(0)
lines = open(args[args.index('--file') + 1]).read().split('\\n')
assert lines[0] == '@EXPLICIT'
for line in filter(None, lines[1:]):
    url, md5 = line.split('#')
    if hashlib.md5(open(urllib.parse.urlparse(url).path, 'rb').read()).hexdigest() != md5:
        sys.exit(f'{url} has another hash')
    print('Linking', url, file=sys.stderr)
os.makedirs(os.path.join(prefix, 'bin'))
os.symlink(sys.executable, os.path.join(prefix, 'bin', 'python'))
`
