// What the files of the parser share. Not for others: they use policy/tracing/parser.h. Errors name the field.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "policy/tracing/model.h"
#include "policy/tracing/names.h"

namespace sluice::policy::tracing {

// What a hook needs to know of the rest of its policy.
struct PolicyParts {
  std::vector<List> lists;
  bool has_enforcer = false;
  std::map<std::string, Field> macros;
  std::set<std::string> used_macros;

  const List* FindList(std::string_view name) const;
};

// The policy's list that "list:NAME" names. `field` is where it stands, for the error.
StatusOr<const List*> FindListAt(const Field& field, std::string_view name, const PolicyParts& policy);

// The text after "list:"; absent: `text` is no such reference.
std::optional<std::string_view> ListReference(std::string_view text);

// Appends the items of the list `key`; an error if there are more than `limit`.
template <typename T, typename Parse>
Status ReadUpTo(const Field& field, std::string_view key, std::size_t limit, std::vector<T>& out, Parse parse) {
  const auto list = field.Get(key);
  if (!list) return OkStatus();
  SL_RETURN_IF_ERROR(list->CheckSequence());
  if (const std::size_t count = list->node().items.size(); count > limit) {
    return list->Error(fmt::format("{} entries: at most {} are possible", count, limit));
  }
  return field.ReadItems(key, out, parse);
}

// A string of 1 to kMaxNameBytes without spaces and control characters: a function, a symbol, a path.
StatusOr<std::string> ParseWord(const Field& field);
// The same as a name of C, which may have the "." that compilers put into names of their own.
StatusOr<std::string> ParseSymbol(const Field& field);
StatusOr<std::string> ParsePathName(const Field& field);  // an absolute path
StatusOr<std::string> ParseLabel(const Field& field);
StatusOr<bool> ParseFlag(const Field& field);

// In args, data or as returnArg.
enum class ArgumentPlace { kArgs, kData, kReturn };
StatusOr<Argument> ParseArgument(const Field& field, const Hook& hook, ArgumentPlace place);
// Whether the hook is on a system call, and with how many arguments; absent: on something else.
std::optional<int> SyscallArgumentsOf(const Hook& hook);

// `hook` has its target, args, data and returnArg already.
StatusOr<HookSelector> ParseHookSelector(const Field& field, const Hook& hook, PolicyParts& policy);
StatusOr<Action> ParseHookAction(const Field& field, const Hook& hook, const PolicyParts& policy);
// For an action on return, whatever the hook: adds its limits to ParseHookAction.
StatusOr<Action> ParseReturnAction(const Field& field, const Hook& hook, const PolicyParts& policy);

// Of matchArgs, matchData and matchReturnArgs.
StatusOr<ArgumentFilter> ParseArgumentFilter(const Field& field, const Hook& hook, ArgumentPlace place,
                                             const PolicyParts& policy);
// The field "values" of `filter`, as the operator and the argument's type want them.
StatusOr<FilterValues> ParseFilterValues(const Field& filter, const OperatorInfo& op, const ArgTypeInfo& type,
                                         const PolicyParts& policy);

StatusOr<PidFilter> ParsePidFilter(const Field& field);
StatusOr<BinaryFilter> ParseBinaryFilter(const Field& field);
StatusOr<NamespaceFilter> ParseNamespaceFilter(const Field& field);
StatusOr<NamespaceChangeFilter> ParseNamespaceChangeFilter(const Field& field);
StatusOr<CapabilityFilter> ParseCapabilityFilter(const Field& field);

// podSelector, containerSelector and hostSelector of `field`.
StatusOr<Scope> ParseScopeOf(const Field& field);

// The entries of one field of spec.
StatusOr<Hook> ParseKprobe(const Field& field, HookKind kind, PolicyParts& policy);
StatusOr<Hook> ParseTracepoint(const Field& field, PolicyParts& policy);
StatusOr<Hook> ParseLsmHook(const Field& field, PolicyParts& policy);
StatusOr<Hook> ParseUprobe(const Field& field, PolicyParts& policy);
StatusOr<Hook> ParseUsdt(const Field& field, PolicyParts& policy);

// spec.lists, spec.options, spec.enforcers.
Status ParseLists(const Field& spec, std::vector<List>& lists);
Status ParseOptionList(const Field& spec, TracingPolicy& policy);
Status ParseEnforcers(const Field& spec, const PolicyParts& parts, std::vector<EnforcerCall>& calls);

}  // namespace sluice::policy::tracing
