import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { ChevronsUpDown } from 'lucide-react'
import { projectsQuery } from '../data/queries.ts'

/** A native select: it works with every keyboard, screen reader and thumb. */
export function ProjectSwitch({ project }: { project: string | undefined }) {
  const navigate = useNavigate()
  const { data } = useQuery(projectsQuery)
  const names = data?.items.map(({ name }) => name) ?? []
  if (project && !names.includes(project)) names.unshift(project)
  if (names.length === 0) return null
  return (
    <div className="project-switch">
      <select
        aria-label="Project"
        value={project ?? ''}
        onChange={(event) => void navigate({ to: '/projects/$project', params: { project: event.target.value } })}
      >
        {!project && <option value="">Choose a project</option>}
        {names.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
      <ChevronsUpDown size={14} aria-hidden />
    </div>
  )
}
