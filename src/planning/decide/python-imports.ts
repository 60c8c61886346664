import type { SyntaxNode, Tree } from '@lezer/common'
import { parser } from '@lezer/python'

/** What one Python text says of other modules, as far as that can be read without running it. */
export type PythonModule = {
  imports: PythonImport[]
  /** Names of `__all__`: what a star import of a package looks for. */
  exports: string[]
  /** Folders that the text puts on sys.path: literals, relative to the working directory. */
  searched: string[]
  /** Literals of a computed entry of sys.path; they may be folders beside or above the file. */
  guessed: string[]
}

/**
 * `import a.b` is { module: 'a.b', level: 0 }; `from ..a import b` is { module: 'a', level: 2, names: ['b'] }.
 * A star is the name `*`.
 */
export type PythonImport = { module: string; level: number; names: string[] }

/**
 * Reads every import statement, wherever it stands (a condition may hold), and calls of `import_module`, `__import__`, `run_module`
 * with a literal name. A computed name cannot be known here: what such a call reads is seen when the step runs.
 * The grammar mends what it cannot read, so a text with errors gives the imports that it still shows.
 */
export function readPythonModule(text: string): PythonModule {
  const module: PythonModule = { imports: [], exports: [], searched: [], guessed: [] }
  if (!/\b(import|__all__|run_module)\b|__import__/.test(text)) return module
  const tree: Tree = parser.parse(text)
  tree.iterate({
    enter: ({ name, node }) => {
      if (name === 'ImportStatement') module.imports.push(...statement(node, text))
      else if (name === 'CallExpression') readCall(node, text, module)
      else if (name === 'AssignStatement' || name === 'UpdateStatement') module.exports.push(...exported(node, text))
    },
  })
  return module
}

function statement(node: SyntaxNode, text: string): PythonImport[] {
  const words = childrenOf(node)
  const at = words.findIndex((word) => word.name === 'import')
  const dotted = (nodes: readonly SyntaxNode[]) =>
    nodes
      .filter((word) => word.name === 'VariableName')
      .map((word) => textOf(word, text))
      .join('.')
  if (words[0]?.name !== 'from')
    return listed(words.slice(at + 1)).map((one) => ({ module: dotted(one), level: 0, names: [] }))
  const before = words.slice(1, at)
  const firstName = before.findIndex((word) => word.name === 'VariableName')
  const dots = firstName < 0 ? before : before.slice(0, firstName)
  const level = dots.reduce((sum, dot) => sum + (dot.name === 'Ellipsis' ? 3 : dot.name === '.' ? 1 : 0), 0)
  const names = listed(words.slice(at + 1)).flatMap((one) => {
    const [name] = one.filter((word) => word.name === 'VariableName' || word.name === '*')
    return name ? [textOf(name, text)] : []
  })
  return [{ module: dotted(before), level, names }]
}

/** Between commas; what stands after `as` is a name of this file alone. */
function listed(words: readonly SyntaxNode[]): SyntaxNode[][] {
  const items: SyntaxNode[][] = [[]]
  let alias = false
  for (const word of words) {
    if (word.name === ',') {
      items.push([])
      alias = false
    } else if (word.name === 'as') alias = true
    else if (!alias && word.name !== '(' && word.name !== ')') items.at(-1)!.push(word)
  }
  return items.filter((item) => item.some((word) => word.name === 'VariableName' || word.name === '*'))
}

/** Of one call that extends sys.path. */
const foldersRead = 10

const importing = /(^|\.)(import_module|__import__|run_module)$/

function readCall(node: SyntaxNode, text: string, module: PythonModule): void {
  const called = node.firstChild && textOf(node.firstChild, text)
  const args = node.getChild('ArgList')
  if (!called || !args) return
  if (importing.test(called)) {
    const [name, from] = argumentsOf(args, text)
    const written = /^(\.*)(.*)$/.exec(name ?? '')!
    // `import_module('.x', 'pkg')` is relative to the package that it names, or, where none is a literal, to the file's own.
    if (name && written[1] === '') module.imports.push({ module: name, level: 0, names: [] })
    else if (name && from && written[1]!.length === 1)
      module.imports.push({ module: `${from}.${written[2]}`, level: 0, names: [] })
    else if (name) module.imports.push({ module: written[2]!, level: written[1]!.length, names: [] })
  } else if (/(^|\.)(sys\.)?path\.(insert|append|extend)$/.test(called)) {
    const literals = argumentsOf(args, text).filter((value) => value !== undefined)
    const given = childrenOf(args).filter((word) => !/^[(),\d]|Number/.test(word.name))
    if (given.every((word) => literalOf(word, text) !== undefined))
      module.searched.push(...literals.slice(0, foldersRead))
    else module.guessed.push('', ...stringsIn(args, text).slice(0, foldersRead))
  }
}

/** The arguments' literals in order; undefined where one is computed. */
function argumentsOf(args: SyntaxNode, text: string): (string | undefined)[] {
  const values: (string | undefined)[] = []
  for (const word of childrenOf(args)) {
    if (word.name === '(' || word.name === ')' || word.name === ',' || word.name === 'AssignOp') continue
    // A keyword's name; its value comes next.
    if (word.name === 'VariableName' && word.nextSibling?.name === 'AssignOp') continue
    values.push(literalOf(word, text))
  }
  return values
}

function exported(node: SyntaxNode, text: string): string[] {
  const [target] = childrenOf(node)
  return target && textOf(target, text) === '__all__' ? stringsIn(node, text) : []
}

function stringsIn(node: SyntaxNode, text: string): string[] {
  const found: string[] = []
  node.cursor().iterate((inner) => {
    const literal = inner.name === 'String' ? literalOf(inner.node, text) : undefined
    if (literal !== undefined) found.push(literal)
  })
  return found
}

/** A plain string, or several that stand side by side; undefined for everything else. */
function literalOf(node: SyntaxNode, text: string): string | undefined {
  if (node.name === 'ContinuedString') {
    const parts = childrenOf(node).map((part) => literalOf(part, text))
    return parts.every((part) => part !== undefined) ? parts.join('') : undefined
  }
  if (node.name !== 'String') return undefined
  const match = /^[rRuU]?("""|'''|"|')([\s\S]*)\1$/.exec(textOf(node, text))
  return match && !match[2]!.includes('\\') ? match[2] : undefined
}

function childrenOf(node: SyntaxNode): SyntaxNode[] {
  const children: SyntaxNode[] = []
  for (let child = node.firstChild; child; child = child.nextSibling) children.push(child)
  return children
}

const textOf = (node: SyntaxNode, text: string): string => text.slice(node.from, node.to)

/** The code cells of a notebook as one text; lines for IPython alone (`%`, `!`) are told apart. Nothing where it is no notebook. */
export function readNotebook(text: string): { code: string; commands: string[] } {
  const code: string[] = []
  const commands: string[] = []
  for (const line of cellLines(text)) {
    const magic = /^\s*(?:%+\s*run\s+|!)(.*)$/.exec(line)
    if (magic)
      commands.push(line.trimStart().startsWith('!') ? magic[1]! : `python ${magic[1]!.replace(/^(-\w+\s+)*/, '')}`)
    code.push(magic || /^\s*%/.test(line) ? '' : line)
  }
  return { code: code.join('\n'), commands }
}

function cellLines(text: string): string[] {
  try {
    const { cells } = JSON.parse(text) as { cells?: unknown }
    if (!Array.isArray(cells)) return []
    return cells.flatMap((cell: { cell_type?: unknown; source?: unknown } | null) => {
      if (cell?.cell_type !== 'code') return []
      const source = Array.isArray(cell.source) ? cell.source.join('') : String(cell.source ?? '')
      return source.split('\n')
    })
  } catch {
    // What is no notebook is refused where it is to be carried out.
    return []
  }
}
