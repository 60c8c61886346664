import { describe, expect, it } from 'vitest'
import { escapingSymlinks, type SymbolicLink } from './symlinks.ts'

const escaping = (...links: SymbolicLink[]) => escapingSymlinks(links).map((link) => link.path)

describe('a symbolic link', () => {
  it.each([
    ['absolute', 'link', '/etc/passwd'],
    ['one folder up from the root', 'link', '..'],
    ['up from a folder and beyond the root', 'a/b/link', '../../../x'],
    ['down and then up too far', 'a/link', 'b/../../../x'],
    ['up past the root and back in by name', 'link', '../repository/x'],
    ['into .git', 'link', '.git/config'],
    ['into .git by another spelling', 'a/link', '../.GIT/hooks'],
  ])('that is %s leaves the repository', (_, path, target) => {
    expect(escaping({ path, target })).toEqual([path])
  })

  it.each([
    ['beside it', 'link', 'file'],
    ['to the root itself', 'a/link', '..'],
    ['up and down again inside', 'a/b/link', '../../c/./d//e'],
    ['with dots in a name', 'link', '..hidden/...'],
    ['to a file called git', 'link', 'git/.gitignore'],
    ['to itself', 'link', 'link'],
  ])('%s stays inside', (_, path, target) => {
    expect(escaping({ path, target })).toEqual([])
  })

  it('leaves where each step looks harmless and another link carries it out', () => {
    // By its text a/b/out ends at a/b/x; but a/b/up is the root, so up/.. is the folder above the repository.
    const links = [
      { path: 'a/b/up', target: '../..' },
      { path: 'a/b/out', target: 'up/../x' },
    ]
    expect(escaping(...links)).toEqual(['a/b/out'])
  })

  it('leaves where it follows a chain that ends outside', () => {
    expect(
      escaping({ path: 'one', target: 'two/x' }, { path: 'two', target: 'three' }, { path: 'three', target: '/tmp' }),
    ).toEqual(['one', 'two', 'three'])
  })

  it('in a circle with others leads nowhere, and is let in', () => {
    expect(escaping({ path: 'a', target: 'b' }, { path: 'b', target: 'a/x' })).toEqual([])
  })
})
