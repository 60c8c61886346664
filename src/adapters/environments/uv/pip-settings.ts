/**
 * uv reads neither pip.conf nor PIP_…: what this machine tells pip (index, wheel folders, certificates) is translated for it
 * at run time and is written nowhere. What is set for uv itself goes first.
 */
export function uvSettingsFromPip(pipConfigList: string, env: Record<string, string>): Record<string, string> {
  const pip = pipSettings(pipConfigList)
  const words = (key: string) => (pip.get(key) ?? '').split(/\s+/).filter(Boolean)
  const settings: Record<string, string> = {}
  const set = (name: string, value: string | undefined) => {
    if (value && env[name] === undefined) settings[name] = value
  }
  if (env.UV_INDEX_URL === undefined) set('UV_DEFAULT_INDEX', pip.get('index-url'))
  if (env.UV_EXTRA_INDEX_URL === undefined) set('UV_INDEX', words('extra-index-url').join(' '))
  // pip takes the best version of all its indexes; uv by default stops at the first that has the package.
  if (settings.UV_INDEX) set('UV_INDEX_STRATEGY', 'unsafe-best-match')
  set('UV_FIND_LINKS', words('find-links').join(','))
  set('UV_INSECURE_HOST', words('trusted-host').join(' '))
  set('SSL_CERT_FILE', pip.get('cert'))
  set('UV_HTTP_TIMEOUT', pip.get('default-timeout') ?? pip.get('timeout'))
  if (/^(1|true|yes|on)$/i.test(pip.get('no-index') ?? '')) set('UV_NO_INDEX', '1')
  const proxy = pip.get('proxy')
  if (env.https_proxy === undefined) set('HTTPS_PROXY', proxy)
  return settings
}

// `global.index-url='…'`, in Python's notation; the environment goes before a command's section, that before global.
function pipSettings(list: string): Map<string, string> {
  const settings = new Map<string, string>()
  for (const section of ['global', 'install', ':env:'])
    for (const line of list.split('\n')) {
      const found = /^([^.]+)\.([\w-]+)=(['"])(.*)\3$/.exec(line.trim())
      if (found?.[1] === section) settings.set(found[2]!, found[4]!.replaceAll('\\n', ' '))
    }
  return settings
}
