/** The differences that stand in docs/mlflow.md: each with the reason why ours is kept. */
export type KnownDifference = {
  reason: string
  /** Of `METHOD path`, ids in it as `:id`. */
  endpoint?: RegExp
  field: RegExp
  stock?: RegExp
  ours?: RegExp
}

export const knownDifferences: readonly KnownDifference[] = [
  {
    reason:
      'Stores that clients reach by themselves (hdfs, abfss, …) may be named: stock refuses them because its server would connect to them, ours never does.',
    endpoint: /\/experiments\/create$/,
    field: /^status$/,
    stock: /cannot use the '(sftp|hdfs|viewfs|r2|b2|abfss)' scheme/,
    ours: /^200$/,
  },
  {
    reason: 'Blanks between the words of IS NOT NULL: stock takes one, ours any number.',
    endpoint: /\/search$/,
    field: /^status$/,
    stock: /Invalid clause\(s\) in filter string: .*'(is|IS)', '(not|NOT) {2,}/,
    ours: /^200$/,
  },
  {
    reason: 'A backslash before the closing quote: stock reads the list as Python and fails with 500, ours as text.',
    endpoint: /\/logged-models\/search$/,
    field: /^status$/,
    stock: /^500 INTERNAL_ERROR: unterminated string literal/,
    ours: /^200$/,
  },
  {
    reason: 'Protobuf leaves empty lists out; ours says that they are empty.',
    field: /\w/,
    stock: /^absent$/,
    ours: /^(\[\]|\{("(model_outputs|model_inputs|dataset_inputs|metrics|params|tags)":\[\],?)+\})$/,
  },
  {
    reason: 'Workspaces are not supported: there is none to name.',
    field: /(^|\.)workspace$/,
    stock: /^"default"$/,
    ours: /^absent$/,
  },
  {
    reason:
      'Stock fails with 500 on what only the client can mend; ours refuses it as the client’s error, which is not tried again.',
    field: /^status$/,
    stock: /^500 /,
    ours: /^4\d\d /,
  },
  {
    reason: 'An empty text and an absent field are the same to protobuf; ours leaves it out.',
    field: /(^|\.)(model_type|source_run_id)$/,
    stock: /^""$/,
    ours: /^absent$/,
  },
  {
    reason: 'Stock adds the words of its database.',
    field: /^message$/,
    stock: /already exists\. Error: \(sqlite3/,
    ours: /already exists\.?"$/,
  },
  {
    reason:
      'A refused filter, order or page size: both refuse with the same code; which flaw is named first, and in which words, differs.',
    endpoint: /\/search$/,
    field: /^message$/,
  },
  {
    reason: 'The finer class of an error, which no client reads, is that of its code.',
    field: /^(sqlstate|error_class)$/,
  },
  {
    reason:
      'Stock lets its database refuse what does not exist (BAD_REQUEST with the words of SQL); ours names what is missing.',
    field: /^status$/,
    stock: /^400 BAD_REQUEST: .*(FOREIGN KEY|autoflush)/,
    ours: /^404 /,
  },
  {
    reason:
      'A number that the enum does not have: stock forgets all other fields, the page size too, and refuses that; ours the enum alone.',
    endpoint: /experiments\/search$/,
    field: /^status$/,
    stock: /Invalid value 0 for parameter 'max_results'/,
    ours: /^200/,
  },
  {
    reason: 'A negative page size is all rows to SQLite; ours refuses it as other searches do.',
    endpoint: /logged-models\/search$/,
    field: /^status$/,
    stock: /^200/,
    ours: /Invalid value -\d+ for parameter 'max_results'/,
  },
  {
    reason: 'Ours gives searches the models that a run was given, which stock gives only to runs/get.',
    endpoint: /runs\/search$/,
    field: /model_inputs/,
    stock: /^absent$/,
  },
  {
    reason: 'Ids of the server’s making, of no form that clients know.',
    field: /(^|\.)scorer_id$/,
  },
  {
    reason: 'A digest of the name and of the time of the last change.',
    endpoint: /\/datasets\//,
    field: /(^|\.)digest$/,
  },
  {
    reason: 'Linking traces to a run that does not exist: stock takes it, ours names the run.',
    endpoint: /traces\/link-to-run$/,
    field: /^status$/,
    stock: /^200/,
    ours: /^404 .*Run with id=/,
  },
  {
    reason: 'Stock gives a token after a full last page, which leads to an empty one.',
    endpoint: /traces\/search$/,
    field: /^next_page_token$/,
    stock: /token/,
    ours: /^absent$/,
  },
  {
    reason: 'A tag of a trace that does not exist: stock misses the tag, ours the trace.',
    endpoint: /^DELETE .*\/traces\/.*\/tags$/,
    field: /^message$/,
    ours: /Trace with ID/,
  },
  {
    reason:
      'A run without an experiment: ours is the default one’s, as the client has it; stock’s database refuses it.',
    endpoint: /runs\/create$/,
    field: /^status$/,
    stock: /^400 BAD_REQUEST: .*autoflush/,
    ours: /^200/,
  },
  {
    reason: 'The default experiment is as old as time: it was there before anybody made it.',
    endpoint: /experiments\//,
    field: /(creation_time|last_update_time)$/,
    ours: /^0$/,
  },
  {
    reason: 'Stock takes records for a dataset that does not exist where there are none.',
    endpoint: /datasets\/.*\/records$/,
    field: /^status$/,
    stock: /^200/,
    ours: /^404 .*Evaluation dataset/,
  },
  {
    reason: 'Stock fails on an operator in small letters.',
    endpoint: /datasets\/search$/,
    field: /^status$/,
    stock: /^500 INTERNAL_ERROR: '(like|ilike)'/,
    ours: /^200/,
  },
  {
    reason: 'A page that large is refused, as other searches do.',
    endpoint: /logged-models\/search$/,
    field: /^status$/,
    stock: /^200/,
    ours: /It must be at most 50000/,
  },
  {
    reason: 'A number with a point or an exponent is compared as the number that it is.',
    endpoint: /experiments\/search$/,
    field: /^status$/,
    stock: /Invalid value for numeric attribute/,
    ours: /^200/,
  },
  {
    reason: 'A filter of blanks is none.',
    endpoint: /runs\/search$/,
    field: /^status$/,
    stock: /Invalid filter '\s+'\. Could not be parsed/,
    ours: /^200/,
  },
  {
    reason: 'Both refuse; stock looks at the assessment’s new value first, ours at the trace.',
    endpoint: /^PATCH .*\/assessments\//,
    field: /^status$/,
    stock: /^400 .*must be specified/,
    ours: /^404 /,
  },
  {
    reason: 'Both refuse; ours reads the whole message before it looks for the trace.',
    endpoint: /^PATCH .*\/assessments\//,
    field: /^status$/,
    stock: /^404 /,
    ours: /^400 .*Invalid value .*'(update_mask|assessment)'/,
  },
  {
    reason: 'Both refuse; an alias with two flaws is refused for the other one.',
    endpoint: /registered-models\/alias$/,
    field: /^message$/,
  },
  {
    reason: 'There is no such environment variable here to be told of.',
    endpoint: /model-versions\/create$/,
    field: /^message$/,
    stock: /Set the MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES/,
  },
  {
    reason: 'The path says which logged model it is; stock asks for the id in the body too.',
    endpoint: /\/logged-models\//,
    field: /^status$/,
    stock: /parameter 'model_id'/,
  },
  {
    reason: 'The same output of a run twice is that output.',
    endpoint: /runs\/outputs$/,
    field: /^status$/,
    stock: /^400 BAD_REQUEST: .*UNIQUE constraint failed: inputs/,
    ours: /^200/,
  },
  {
    reason: 'A filter that stock takes and that nothing can satisfy is refused by ours, with the reason.',
    endpoint: /\/search$/,
    field: /^status$/,
    stock: /^200/,
    ours: /Found NaN|Invalid clause\(s\) in filter string: 'metrics'|Invalid comparator '<' not one of/,
  },
  {
    reason: 'A dataset’s digest in the order without its name says nothing: ours tells so.',
    endpoint: /logged-models\/search$/,
    field: /^status$/,
    stock: /^200/,
    ours: /`dataset_digest` can only be specified/,
  },
  {
    reason: 'Where no experiment is asked about there is nothing to search, and ours reads no filter.',
    endpoint: /runs\/search$/,
    field: /^status$/,
    stock: /^400 /,
    ours: /^200/,
  },
  {
    reason: 'Ours keeps why somebody expects something; stock drops the rationale of an expectation.',
    endpoint: /\/traces/,
    field: /(^|\.)rationale$/,
    stock: /^absent$/,
  },
  {
    reason: 'A filter of blanks is none.',
    endpoint: /logged-models\/search$/,
    field: /^status$/,
    stock: /Invalid filter string: '\s+'/,
    ours: /^200/,
  },
  {
    reason: 'A page of less than one row: stock gives what its database makes of it.',
    endpoint: /registered-models\/search$|model-versions\/search$/,
    field: /^status$/,
    stock: /^200/,
    ours: /It must be a positive integer, but got -/,
  },
  {
    reason: 'A path of the server’s machine: stock’s message shows where it would lie, ours what was sent.',
    endpoint: /model-versions\/create$/,
    field: /^message$/,
    stock: /Invalid model version source/,
    ours: /Invalid model version source/,
  },
  {
    reason: 'There is no such environment variable here to be told of.',
    endpoint: /experiments\/create$/,
    field: /^message$/,
    stock: /Set the MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES/,
  },
  {
    reason:
      'Both refuse a field that is empty or null: whether it counts as missing or as of the wrong type depends on the endpoint in stock.',
    field: /^message$/,
    stock: /Hint: Value was of type '(str|NoneType)'/,
    ours: /Missing value for required parameter/,
  },
  {
    reason: 'A logged model may name one param or tag twice: the last one counts, as everywhere else.',
    endpoint: /logged-models$/,
    field: /^status$/,
    stock: /UNIQUE constraint failed: logged_model_(params|tags)/,
    ours: /^200/,
  },
  {
    reason: 'A name in a tag is cut where other tags are.',
    endpoint: /runs\//,
    field: /tags\[\]\.value$/,
    stock: /\(8\d{3}\)$/,
    ours: /\(800\d\)$/,
  },
  {
    reason:
      'An experiment may name one tag twice when it is made: stock says that the experiment exists already, ours counts the last.',
    endpoint: /experiments\/create$/,
    field: /^status$/,
    stock: /UNIQUE constraint failed: experiment_tags/,
    ours: /^200/,
  },
  {
    reason: 'Operators in small letters are operators, here as in other searches.',
    endpoint: /experiments\/search$/,
    field: /^status$/,
    stock: /Invalid comparator for (tag|attribute): (like|ilike)/,
    ours: /^200/,
  },
  {
    reason: 'A field that is null is absent; stock fails on some with a page in HTML.',
    field: /^status$/,
    stock: /^500 "<!doctype html>/,
    ours: /^200/,
  },
  {
    reason: 'An assessment that is no message: ours says so, stock that it has no type.',
    endpoint: /\/assessments$/,
    field: /^message$/,
    stock: /Unknown assessment type: None/,
  },
  {
    reason: 'A backslash is a character like others in a list too.',
    endpoint: /\/search$/,
    field: /^status$/,
    stock: /got ill-formed list/,
    ours: /^200/,
  },
  {
    reason: 'A model without a source run has none; for stock its source run is the empty text.',
    endpoint: /logged-models\/search$/,
    field: /^models\.length$/,
    stock: /"source_run_id":""/,
  },
  {
    reason: 'A number in quotes is a text, and no version’s number is one.',
    endpoint: /model-versions\/search$/,
    field: /^status$/,
    stock: /^200/,
    ours: /Expected numeric value type for numeric attribute: version_number/,
  },
  {
    reason:
      'A param of a logged model that is there: stock’s database refuses any value, ours another one, by the code and words of a run’s.',
    endpoint: /logged-models\/:id\/params$/,
    field: /^(error_code|message)$/,
    ours: /INVALID_PARAMETER_VALUE|Changing param values is not allowed/,
  },
  {
    reason: 'The same param again with the same value is fine, as it is for a run.',
    endpoint: /logged-models\/:id\/params$/,
    field: /^status$/,
    stock: /UNIQUE constraint failed: logged_model_params/,
    ours: /^200/,
  },
]
