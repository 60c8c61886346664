import { useQuery } from '@tanstack/react-query'
import { useNavigate, useRouter } from '@tanstack/react-router'
import { Boxes, FolderGit2, KeyRound, type LucideIcon, SunMoon, Workflow } from 'lucide-react'
import { type KeyboardEvent, useEffect, useId, useMemo, useRef, useState } from 'react'
import { executionState, stateWords } from '../../../src/lineage/shown-states-contract.ts'
import { executionsQuery, projectsQuery, versionsQuery } from '../data/queries.ts'
import { shortCommit } from '../format.ts'
import { sections } from './sections.ts'
import { useTheme } from './theme.ts'

type Entry = { key: string; text: string; hint: string; icon: LucideIcon; act: () => void }
type Props = { project: string | undefined; onClose: () => void; onSignIn: () => void }

/** Ctrl-K: type a few letters, go there. A combobox over a list, as ARIA describes it. */
export function Palette({ project, onClose, onSignIn }: Props) {
  const dialog = useRef<HTMLDialogElement>(null)
  const listId = useId()
  const [text, setText] = useState('')
  const [chosen, setChosen] = useState(0)
  const entries = useEntries(project, onSignIn)
  const found = useMemo(() => matching(entries, text), [entries, text])
  useEffect(() => {
    dialog.current?.showModal()
  }, [])
  useEffect(() => {
    document.getElementById(`${listId}-${chosen}`)?.scrollIntoView({ block: 'nearest' })
  }, [chosen, listId])

  const run = (entry: Entry | undefined) => {
    if (!entry) return
    dialog.current?.close()
    entry.act()
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (move) {
      event.preventDefault()
      setChosen((now) => (found.length === 0 ? 0 : (now + move + found.length) % found.length))
    } else if (event.key === 'Enter') {
      event.preventDefault()
      run(found[chosen])
    }
  }
  return (
    <dialog ref={dialog} className="dialog palette" aria-label="Go to" onClose={onClose}>
      <input
        role="combobox"
        aria-expanded="true"
        aria-controls={listId}
        aria-autocomplete="list"
        aria-activedescendant={found.length > 0 ? `${listId}-${chosen}` : undefined}
        aria-label="Go to a page, an execution or an action"
        placeholder="Go to a page, an execution, an action…"
        value={text}
        onChange={(event) => {
          setText(event.target.value)
          setChosen(0)
        }}
        onKeyDown={onKeyDown}
      />
      <div id={listId} role="listbox" aria-label="Found" className="options">
        {found.map(({ key, text, hint, icon: Icon, act }, i) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: keys are heard by the combobox, as ARIA's pattern has it
          <div
            key={key}
            id={`${listId}-${i}`}
            role="option"
            aria-selected={i === chosen}
            tabIndex={-1}
            className="option"
            onMouseMove={() => setChosen(i)}
            onClick={() => run({ key, text, hint, icon: Icon, act })}
          >
            <Icon size={16} aria-hidden />
            <span>{text}</span>
            <span className="hint">{hint}</span>
          </div>
        ))}
      </div>
      {found.length === 0 && <p className="none">Nothing is called “{text}”.</p>}
    </dialog>
  )
}

function useEntries(project: string | undefined, onSignIn: () => void): Entry[] {
  const navigate = useNavigate()
  const router = useRouter()
  const { turn } = useTheme()
  const projects = useQuery(projectsQuery).data?.items ?? []
  const executions = useQuery({ ...executionsQuery(project ?? ''), enabled: project !== undefined }).data?.items ?? []
  const versions = useQuery({ ...versionsQuery(project ?? ''), enabled: project !== undefined }).data?.items ?? []
  const entries: Entry[] = []
  if (project) {
    for (const { to, name, icon } of sections)
      entries.push({ key: to, text: name, hint: 'page', icon, act: () => void navigate({ to, params: { project } }) })
    for (const { id, commit, trigger, state } of executions.slice(0, 50))
      entries.push({
        key: id,
        text: `${shortCommit(commit)} · ${trigger.kind}`,
        hint: stateWords[executionState[state]],
        icon: Workflow,
        act: () => void navigate({ to: '/projects/$project/executions/$id', params: { project, id } }),
      })
  }
  if (project)
    for (const { model, version } of versions.slice(0, 50))
      entries.push({
        key: `${model} ${version}`,
        text: `${model} v${version}`,
        hint: 'version',
        icon: Boxes,
        act: () =>
          void navigate({
            to: '/projects/$project/models/$model/versions/$version',
            params: { project, model, version: String(version) },
          }),
      })
  for (const { name } of projects)
    entries.push({
      key: `project ${name}`,
      text: name,
      hint: 'project',
      icon: FolderGit2,
      act: () => void navigate({ to: '/projects/$project', params: { project: name } }),
    })
  entries.push({ key: 'theme', text: 'Turn the theme', hint: 'action', icon: SunMoon, act: turn })
  entries.push({ key: 'sign in', text: 'Sign in with token', hint: 'action', icon: KeyRound, act: onSignIn })
  entries.push({
    key: 'reload',
    text: 'Ask the server for everything anew',
    hint: 'action',
    icon: Workflow,
    act: () => void router.invalidate(),
  })
  return entries
}

/** All words of the text somewhere in the entry; those that begin with it first. */
function matching(entries: Entry[], text: string): Entry[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean)
  const fits = entries.filter((entry) =>
    words.every((word) => `${entry.text} ${entry.hint}`.toLowerCase().includes(word)),
  )
  const first = words[0] ?? ''
  return fits.sort(
    (a, b) => Number(b.text.toLowerCase().startsWith(first)) - Number(a.text.toLowerCase().startsWith(first)),
  )
}
