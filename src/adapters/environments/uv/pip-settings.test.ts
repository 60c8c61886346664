import { expect, it } from 'vitest'
import { uvSettingsFromPip } from './pip-settings.ts'

const list = `:env:.find-links='/a /b'
:env:.default-timeout='180'
global.cert='/etc/ca.pem'
global.index-url='https://global.example/simple'
install.index-url='https://install.example/simple'
global.extra-index-url='https://one.example/simple\\nhttps://two.example/simple'
global.trusted-host='one.example'
freeze.timeout='1'`

it('tells uv what this machine tells pip, the nearer setting first', () => {
  expect(uvSettingsFromPip(list, {})).toEqual({
    UV_DEFAULT_INDEX: 'https://install.example/simple',
    UV_INDEX: 'https://one.example/simple https://two.example/simple',
    UV_INDEX_STRATEGY: 'unsafe-best-match',
    UV_FIND_LINKS: '/a,/b',
    UV_INSECURE_HOST: 'one.example',
    SSL_CERT_FILE: '/etc/ca.pem',
    UV_HTTP_TIMEOUT: '180',
  })
})

it('leaves alone what is set for uv itself', () => {
  const own = { UV_INDEX_URL: 'https://mine.example', UV_FIND_LINKS: '/mine', SSL_CERT_FILE: '/mine.pem' }
  const settings = uvSettingsFromPip(list, own)
  for (const name of ['UV_DEFAULT_INDEX', 'UV_FIND_LINKS', 'SSL_CERT_FILE']) expect(settings[name]).toBeUndefined()
})

it('tells uv nothing where pip is told nothing', () => {
  expect(uvSettingsFromPip('', {})).toEqual({})
})
