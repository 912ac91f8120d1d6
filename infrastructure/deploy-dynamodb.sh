#!/usr/bin/env bash
# Deploys a CloudFormation template as a stack: shows the change set, refuses to lose a table, waits, and on
# failure prints the last events. Settings come from the environment; infrastructure/README.md lists them.
# Exit: 0 deployed or nothing to change, 1 failed or refused, 2 cannot begin (nothing was changed).
# Written for bash 3.2, which macOS still ships.
set -euo pipefail
set -f # nothing here is a file pattern, and a parameter's value may look like one

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
STACK_NAME=${STACK_NAME-department-calendar}
AWS_REGION=${AWS_REGION-ap-northeast-2}
TEMPLATE=${TEMPLATE-$here/dynamodb-schema.yaml}
PARAMETERS=${PARAMETERS-}
ALLOW_REPLACEMENT=${ALLOW_REPLACEMENT-0}
IMPORT_EXISTING=${IMPORT_EXISTING-0}
CAPABILITIES=${CAPABILITIES-CAPABILITY_IAM}
POLL_SECONDS=${POLL_SECONDS-5}
WAIT_SECONDS=${WAIT_SECONDS-3600}
export AWS_REGION AWS_DEFAULT_REGION=$AWS_REGION AWS_PAGER='' # no pager of CLI v2 in the middle of a deployment

TEMPLATE_LIMIT=51200 # bytes that CloudFormation takes without an S3 bucket
EVENTS_SHOWN=10

errors=$(mktemp)
named_template=$(mktemp)
trap 'rm -f "$errors" "$named_template"' EXIT

say() { printf '%s\n' "$*"; }

cannot_begin() {
  say "✗ $*" >&2
  exit 2
}

# The last line of what the AWS CLI complained about.
complaint() { sed -e '/^[[:space:]]*$/d' "$errors" | tail -n 1; }

list_events() {
  # Without --no-paginate the CLI would fetch the whole history for these.
  aws cloudformation describe-stack-events --stack-name "$stack" --no-paginate --output text \
    --query "$1.[Timestamp,ResourceStatus,LogicalResourceId,ResourceStatusReason]" ||
    say "  (이벤트를 읽지 못했습니다)"
}

show_events() {
  local refusal failed
  refusal=$(complaint)
  # A rollback writes many events after the one that says why.
  failed=$(list_events "StackEvents[?ends_with(ResourceStatus, '_FAILED')] | [:$EVENTS_SHOWN]")
  say '실패한 이벤트 (최신순):' >&2
  [ -z "$failed" ] || say "$failed" >&2
  say "최근 이벤트 ${EVENTS_SHOWN}개 (최신순):" >&2
  list_events "StackEvents[:$EVENTS_SHOWN]" >&2
  # The policy that a stack gives to its deployments knows the tables of that stack, and cannot change itself.
  case "$refusal $failed" in
    *AccessDenied* | *'not authorized to perform'*)
      say '→ 권한이 없어 실패했습니다. 새 테이블이나 새 권한이 생기는 업그레이드는 관리자가 자기 컴퓨터에서 한 번 배포합니다.' >&2
      say '  그다음부터는 배포 역할로 됩니다. infrastructure/README.md의 "An upgrade that adds a table"을 보세요.' >&2
      ;;
  esac
}

fail() {
  say "✗ $*" >&2
  show_events
  exit 1
}

# Run the AWS CLI where a failure ends the deployment; its answer is the caller's.
must() {
  local doing=$1
  shift
  if ! aws "$@" 2>"$errors"; then
    fail "$doing 실패: $(complaint)"
  fi
}

stack_status() {
  local status
  if status=$(aws cloudformation describe-stacks --stack-name "$STACK_NAME" --output text \
    --query 'Stacks[0].StackStatus' 2>"$errors"); then
    case $status in
      DELETE_COMPLETE) say NONE ;;
      *) say "$status" ;;
    esac
  elif grep -q 'does not exist' "$errors"; then
    say NONE
  else
    return 1
  fi
}

read_status() {
  if ! status=$(stack_status); then
    fail "스택 상태를 읽지 못했습니다: $(complaint)"
  fi
}

# Wait until the stack rests; an unexecuted change set (REVIEW_IN_PROGRESS) is rest, unless told otherwise.
wait_for_rest() {
  local review_rests=$1 deadline=$((SECONDS + WAIT_SECONDS)) shown=''
  while read_status; do
    case $status in
      REVIEW_IN_PROGRESS) [ "$review_rests" = no ] || return 0 ;;
      *_IN_PROGRESS) ;;
      *) return 0 ;;
    esac
    if [ "$status" != "$shown" ]; then
      say "… $status"
      shown=$status
    fi
    [ "$SECONDS" -lt "$deadline" ] || fail "${WAIT_SECONDS}초를 기다렸지만 아직 $status 입니다. 나중에 다시 실행하세요."
    sleep "$POLL_SECONDS"
  done
}

show_outputs() {
  local outputs
  outputs=$(must '출력 조회' cloudformation describe-stacks --stack-name "$stack" --output text \
    --query 'Stacks[0].Outputs[].[OutputKey,OutputValue]')
  if [ -n "$outputs" ] && [ "$outputs" != None ]; then
    say '출력:'
    printf '%s\n' "$outputs" | sed 's/^/  /'
  fi
}

nothing_to_change() {
  say '✓ 변경할 것이 없습니다.'
  show_outputs
  exit 0
}

json_string() {
  local text=${1//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}

# The parameters of the change set: what PARAMETERS gives, and for the rest what the stack has now.
parameters_json() {
  local pair key list='' given=' '
  for pair in $PARAMETERS; do
    key=${pair%%=*}
    given="$given$key "
    list="$list,{\"ParameterKey\":$(json_string "$key"),\"ParameterValue\":$(json_string "${pair#*=}")}"
  done
  while IFS=$'\t' read -r key _; do
    case $given in *" $key "*) continue ;; esac
    case " $template_parameters " in
      *" $key "*) list="$list,{\"ParameterKey\":\"$key\",\"UsePreviousValue\":true}" ;;
    esac
  done <<<"$stack_parameters"
  printf '[%s]' "${list#,}"
}

# The template with the names that a parameter gives written out: CloudFormation takes a resource in by a literal
# name alone, and not by !Ref or !Sub. Nothing else changes by it: a parameter's value is the same in both forms.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/import-resources-automatically.html
write_out_names() {
  local pair
  {
    printf '%s\n' "$template_defaults" "$stack_parameters"
    for pair in $PARAMETERS; do printf '%s\t%s\n' "${pair%%=*}" "${pair#*=}"; done
  } | awk '
    NR == FNR { at = index($0, "\t"); value[substr($0, 1, at - 1)] = substr($0, at + 1); next }
    /^ +[A-Za-z]*Name: !(Ref|Sub) [^ ]+$/ {
      rest = ($2 == "!Ref") ? "${" $3 "}" : $3
      gsub(/["\047]/, "", rest)
      name = ""
      while (match(rest, /[$][{][A-Za-z0-9]+[}]/)) {
        parameter = substr(rest, RSTART + 2, RLENGTH - 3)
        if (!(parameter in value)) break
        name = name substr(rest, 1, RSTART - 1) value[parameter]
        rest = substr(rest, RSTART + RLENGTH)
      }
      if (!index(rest, "${")) $0 = substr($0, 1, index($0, "!") - 1) "\"" name rest "\""
    }
    { print }' - "$TEMPLATE" >"$named_template"
}

discard_change_set() {
  aws cloudformation delete-change-set --stack-name "$stack" --change-set-name "$change_set" >/dev/null 2>&1 || true
  # A change set for a new stack leaves an empty stack behind.
  if [ "$status" = NONE ]; then
    aws cloudformation delete-stack --stack-name "$stack" >/dev/null 2>&1 || true
  fi
}

# --- before anything changes --------------------------------------------------------------------------------

command -v aws >/dev/null || cannot_begin 'AWS CLI(aws)가 없습니다. DYNAMODB_SETUP.ko.md의 "AWS CLI" 절을 따라 설치하세요.'
[[ $STACK_NAME =~ ^[A-Za-z][A-Za-z0-9-]{0,127}$ ]] ||
  cannot_begin "STACK_NAME='$STACK_NAME'은 스택 이름으로 쓸 수 없습니다. 영문자로 시작하는 영문자, 숫자, 하이픈만 됩니다."
[[ $AWS_REGION =~ ^[a-z]{2}(-[a-z]+)+-[0-9]+$ ]] ||
  cannot_begin "AWS_REGION='$AWS_REGION'은 리전이 아닙니다. 예: AWS_REGION=ap-northeast-2"
[ -f "$TEMPLATE" ] && [ -r "$TEMPLATE" ] || cannot_begin "템플릿 파일 '$TEMPLATE'을 읽을 수 없습니다."
[ "$(wc -c <"$TEMPLATE")" -le "$TEMPLATE_LIMIT" ] ||
  cannot_begin "템플릿 '$TEMPLATE'이 CloudFormation의 한도 ${TEMPLATE_LIMIT}바이트보다 큽니다."
for pair in $PARAMETERS; do
  [[ $pair =~ ^[A-Za-z0-9]+= ]] || cannot_begin "PARAMETERS의 '$pair'는 이름=값 꼴이 아닙니다. 예: PARAMETERS='Environment=staging'"
done
account=$(aws sts get-caller-identity --query Account --output text 2>"$errors") ||
  cannot_begin "AWS에 로그인할 수 없습니다(자격증명을 확인하세요): $(complaint)"
# Also refuses a template that is none.
template_defaults=$(aws cloudformation get-template-summary --template-body "file://$TEMPLATE" --output text \
  --query 'Parameters[].[ParameterKey,DefaultValue]' 2>"$errors") ||
  cannot_begin "템플릿 '$TEMPLATE'이 올바르지 않습니다: $(complaint)"
template_parameters=$(cut -f 1 <<<"$template_defaults" | paste -s -d ' ' -)
for pair in $PARAMETERS; do
  case " $template_parameters " in
    *" ${pair%%=*} "*) ;;
    *) cannot_begin "템플릿에 '${pair%%=*}' 매개변수가 없습니다. 가능한 이름: $template_parameters" ;;
  esac
done

# --- the stack as it is -------------------------------------------------------------------------------------

stack=$STACK_NAME
say "배포: 스택 $STACK_NAME, 리전 $AWS_REGION, 계정 $account"
say "템플릿: $TEMPLATE"

wait_for_rest yes
import=$IMPORT_EXISTING
if [ "$status" = UPDATE_ROLLBACK_FAILED ]; then
  say '… 되돌리기가 중단된 스택입니다(UPDATE_ROLLBACK_FAILED). 되돌리기를 이어서 합니다.'
  must '되돌리기 재개' cloudformation continue-update-rollback --stack-name "$stack" >/dev/null
  wait_for_rest yes
fi
if [ "$status" = ROLLBACK_COMPLETE ]; then
  say '… 첫 생성에 실패한 스택입니다(ROLLBACK_COMPLETE). 지우고 다시 만듭니다.'
  must '스택 삭제' cloudformation delete-stack --stack-name "$stack"
  wait_for_rest yes
  [ "$status" = NONE ] || fail "실패한 스택을 지우지 못했습니다: $status"
  import=1 # a table with DeletionPolicy Retain outlives the rollback, and would now be in the way
fi
case $status in
  NONE) kind=CREATE ;;
  REVIEW_IN_PROGRESS)
    say '… 실행되지 않은 변경 세트만 있는 스택입니다(REVIEW_IN_PROGRESS). 새 변경 세트로 만듭니다.'
    kind=CREATE
    ;;
  CREATE_COMPLETE | UPDATE_COMPLETE | UPDATE_ROLLBACK_COMPLETE | IMPORT_COMPLETE | IMPORT_ROLLBACK_COMPLETE)
    kind=UPDATE
    ;;
  *) fail "스택이 $status 상태라 배포할 수 없습니다. 아래 이벤트의 원인을 고치고, 콘솔에서 스택을 정리한 뒤 다시 실행하세요." ;;
esac

# --- the change set -----------------------------------------------------------------------------------------

stack_parameters=''
if [ "$kind" = UPDATE ]; then
  stack_parameters=$(must '현재 매개변수 조회' cloudformation describe-stacks --stack-name "$stack" --output text \
    --query 'Stacks[0].Parameters[].[ParameterKey,ParameterValue]')
fi
# shellcheck disable=SC2086 # CAPABILITIES is a list of words
set -- --stack-name "$STACK_NAME" --change-set-name "deploy-$(date -u +%Y%m%d-%H%M%S)-$$" \
  --change-set-type "$kind" --parameters "$(parameters_json)" --capabilities $CAPABILITIES
if [ "$import" = 1 ]; then
  write_out_names
  set -- "$@" --template-body "file://$named_template" --import-existing-resources
else
  set -- "$@" --template-body "file://$TEMPLATE"
fi
if ! created=$(aws cloudformation create-change-set "$@" --query '[StackId,Id]' --output text 2>"$errors"); then
  if grep -q 'No updates are to be performed' "$errors"; then
    nothing_to_change
  fi
  fail "변경 세트를 만들지 못했습니다: $(complaint)"
fi
IFS=$'\t' read -r stack change_set <<<"$created"

deadline=$((SECONDS + WAIT_SECONDS))
while :; do
  progress=$(must '변경 세트 조회' cloudformation describe-change-set --stack-name "$stack" \
    --change-set-name "$change_set" --output text --no-paginate --query '[Status,StatusReason]')
  case $progress in
    CREATE_COMPLETE*) break ;;
    FAILED*"didn't contain changes"* | FAILED*'No updates are to be performed'*)
      discard_change_set
      nothing_to_change
      ;;
    FAILED*)
      discard_change_set
      fail "변경 세트를 만들지 못했습니다: ${progress#*$'\t'}"
      ;;
  esac
  [ "$SECONDS" -lt "$deadline" ] || fail "${WAIT_SECONDS}초를 기다렸지만 변경 세트가 아직 만들어지지 않았습니다."
  sleep "$POLL_SECONDS"
done

changes=$(must '변경 세트 조회' cloudformation describe-change-set --stack-name "$stack" \
  --change-set-name "$change_set" --output text \
  --query 'Changes[].ResourceChange.[Action,Replacement,ResourceType,LogicalResourceId]')
lost=''
say '변경 세트:'
while IFS=$'\t' read -r action replacement type name; do
  [ -n "${name-}" ] || continue
  line="$action"
  case $action in
    Add) line='  + 추가' ;;
    Modify) line='  ~ 수정' ;;
    Remove) line='  - 삭제' ;;
    Import) line='  < 가져오기' ;;
    *) line="  ? $action" ;;
  esac
  case $replacement in
    True) line='  ! 교체' ;;
    Conditional) line='  ! 교체될 수 있음' ;;
  esac
  say "$line $name ($type)"
  case $type in
    AWS::DynamoDB::Table | AWS::DynamoDB::GlobalTable)
      case $action/$replacement in
        Remove/* | Dynamic/* | */True | */Conditional) lost="$lost $name" ;;
      esac
      ;;
  esac
done <<<"$changes"
[ -n "$changes" ] && [ "$changes" != None ] || say '  (리소스 변경 없음: 출력, 태그 또는 설명만 바뀝니다)'

if [ -n "$lost" ] && [ "$ALLOW_REPLACEMENT" != 1 ]; then
  discard_change_set
  say "✗ 테이블을 교체하거나 삭제하는 변경이라 실행하지 않았습니다:$lost" >&2
  say '  → 정말 그래야 한다면 백업한 뒤 ALLOW_REPLACEMENT=1로 다시 실행하세요.' >&2
  exit 1
fi

# --- the deployment -----------------------------------------------------------------------------------------

must '변경 세트 실행' cloudformation execute-change-set --stack-name "$stack" --change-set-name "$change_set"
wait_for_rest no
case $status in
  CREATE_COMPLETE | UPDATE_COMPLETE | IMPORT_COMPLETE) ;;
  *) fail "배포에 실패했습니다: $status" ;;
esac
say "✓ 스택 $STACK_NAME 배포가 끝났습니다: $status"
show_outputs
