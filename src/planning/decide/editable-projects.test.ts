import { expect, it } from 'vitest'
import { localProject, packageFolders } from './editable-projects.ts'

it.each<[string, string | undefined]>([
  ['-e .', '.'],
  ['--editable=./libs/common[extra]', 'libs/common'],
  ['-e libs/common # ours', 'libs/common'],
  ['./libs/common', 'libs/common'],
  ['.[dev]', '.'],
  ['numpy', undefined],
  ['scikit-learn>=1.5', undefined],
  ['-r base.txt', undefined],
  ['-e git+https://example.org/x.git', undefined],
  ['-e ../elsewhere', undefined],
  ['# -e .', undefined],
  ['', undefined],
])('the line %j installs %j in place', (line, folder) => {
  expect(localProject(line)).toBe(folder)
})

it.each<[string, string[], string[]]>([
  ['setuptools, where', ['[tool.setuptools.packages.find]\nwhere = ["lib"]\n'], ['lib']],
  ['setuptools, package-dir', ['[tool.setuptools]\npackage-dir = {"" = "code"}\n'], ['code']],
  ['setup.cfg', ['[options]\npackage_dir =\n    = code\n[options.packages.find]\nwhere = code\n'], ['code']],
  ['setup.py', ["setup(package_dir={'': 'code'})"], ['code']],
  ['poetry', ['[tool.poetry]\npackages = [{ include = "churn", from = "code" }]\n'], ['code']],
  ['hatch', ['[tool.hatch.build.targets.wheel]\npackages = ["code/churn"]\n'], ['code']],
  ['nothing, with a folder src', ['[project]\nname = "churn"\n'], ['src']],
])('%s says where the packages are', (_, texts, expected) => {
  expect(packageFolders('.', texts, (folder) => folder === 'src')).toEqual(expected)
})

it('takes the folder itself where there is no src', () => {
  expect(packageFolders('libs/a', ['[project]\n'], () => false)).toEqual(['libs/a'])
})
