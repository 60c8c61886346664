import { expect, it } from 'vitest'
import { lockedPackages, packageVersions } from './locked-packages.ts'

const text = `# by uv
numpy==2.1.0 \\
    --hash=sha256:aaaa \\
    --hash=sha256:bbbb
    # via scikit-learn
Scikit_Learn[alldeps]==1.5.2 ; python_version >= "3.11"
mypkg @ https://example.org/mypkg-1.0.tar.gz
`

it('reads packages of a compiled requirements file with their hashes, extras and markers aside', () => {
  expect(lockedPackages(text)).toEqual([
    { name: 'numpy', version: '2.1.0', hashes: ['sha256:aaaa', 'sha256:bbbb'] },
    { name: 'scikit-learn', version: '1.5.2', hashes: [] },
    { name: 'mypkg', version: 'https://example.org/mypkg-1.0.tar.gz', hashes: [] },
  ])
})

it('reads packages of conda by their own names, with the files that they are', () => {
  const conda =
    '_libgcc_mutex==0.1 --hash=sha256:aaaa --md5=bbbb --conda=https://h/c/linux-64/_libgcc_mutex-0.1-0.conda\n'
  expect(lockedPackages(conda)).toEqual([
    {
      name: '_libgcc_mutex',
      version: '0.1',
      hashes: ['sha256:aaaa'],
      conda: 'https://h/c/linux-64/_libgcc_mutex-0.1-0.conda',
    },
  ])
})

it('counts the interpreter among the packages', () => {
  expect(packageVersions({ pythonVersion: '3.11.7', requirements: 'a==1\n' })).toEqual({ python: '3.11.7', a: '1' })
})
