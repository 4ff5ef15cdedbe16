// Entries of matchArgs, matchData and matchReturnArgs.
#include <algorithm>

#include "policy/tracing/number.h"
#include "policy/tracing/parse_parts.h"

namespace sluice::policy::tracing {
namespace {

const std::vector<Argument>& ArgumentsOf(const Hook& hook, ArgumentPlace place) {
  return place == ArgumentPlace::kData ? hook.data : hook.args;
}

StatusOr<std::size_t> ParsePosition(const Field& field, const std::vector<Argument>& arguments, std::string_view what) {
  SL_ASSIGN_OR_RETURN(const std::uint64_t position, ParseUnsigned(field, 0, 255));
  if (position >= arguments.size()) {
    return field.Error(
        fmt::format("no entry {}: the hook has {} of {}, counted from 0", position, arguments.size(), what));
  }
  return static_cast<std::size_t>(position);
}

// `index` is that of the argument in the function, which the entry of args also has. Tracepoints: if no entry has it,
// it is the entry's position, as in Tetragon.
StatusOr<std::size_t> FindByIndex(const Field& field, const Hook& hook) {
  SL_ASSIGN_OR_RETURN(const std::uint64_t index, ParseUnsigned(field, 0, 255));
  const auto found = std::find_if(hook.args.begin(), hook.args.end(), [&](const Argument& argument) {
    return static_cast<std::uint64_t>(argument.index) == index;
  });
  if (found != hook.args.end()) return static_cast<std::size_t>(found - hook.args.begin());
  const bool tracepoint = hook.kind == HookKind::kTracepoint || hook.kind == HookKind::kRawTracepoint;
  if (tracepoint && index < hook.args.size()) return static_cast<std::size_t>(index);
  return field.Error(fmt::format("no argument {}: args of the hook has no entry with that index. Add it there", index));
}

StatusOr<std::size_t> ParseReturnIndex(const Field& field, const Hook& hook) {
  SL_ASSIGN_OR_RETURN(const std::uint64_t index, ParseUnsigned(field, 0, 255));
  if (static_cast<std::uint64_t>(hook.return_arg->index) != index) {
    return field.Error(fmt::format("no return value {}: returnArg has index {}", index, hook.return_arg->index));
  }
  return 0;
}

StatusOr<const OperatorInfo*> ParseFilterOperator(const Field& filter) {
  const auto field = filter.Get("operator");
  if (!field) return filter.Missing("operator");
  SL_ASSIGN_OR_RETURN(const std::string text, field->String());
  const OperatorAlias* alias = FindName(kOperatorAliases, text);
  const OperatorInfo* info = alias != nullptr ? &InfoOf(alias->op) : FindName(kOperators, text);
  if (info == nullptr) {
    return field->Error(fmt::format("unknown operator {}{}", Quoted(text), InsteadOf(kOperators, text)));
  }
  if (info->form == ValueForm::kRefused) return field->Error(fmt::format("{}: {}", info->name, info->meaning));
  return info;
}

// Which entries of args or data the filter compares: `args` (positions, counted from 0) or `index`.
StatusOr<std::vector<std::size_t>> ParseOperands(const Field& filter, const Hook& hook, ArgumentPlace place) {
  const std::vector<Argument>& arguments = ArgumentsOf(hook, place);
  const std::string_view what = place == ArgumentPlace::kData ? "data" : "args";
  std::vector<std::size_t> operands;
  if (const auto args = filter.Get("args"); args && place != ArgumentPlace::kReturn) {
    SL_RETURN_IF_ERROR(
        filter.ReadItems("args", operands, [&](const Field& item) { return ParsePosition(item, arguments, what); }));
    if (operands.empty()) return args->Error("is empty");
    return operands;
  }
  const auto index = filter.Get("index");
  if (!index) return filter.Missing("index");
  std::size_t position = 0;
  if (place == ArgumentPlace::kReturn) {
    SL_ASSIGN_OR_RETURN(position, ParseReturnIndex(*index, hook));
  } else if (place == ArgumentPlace::kData) {
    SL_ASSIGN_OR_RETURN(position, ParsePosition(*index, arguments, what));
  } else {
    SL_ASSIGN_OR_RETURN(position, FindByIndex(*index, hook));
  }
  operands.push_back(position);
  return operands;
}

Status CheckOperatorFits(const Field& field, const OperatorInfo& op, const ArgTypeInfo& type) {
  if (Has(op.classes, type.values)) return OkStatus();
  if (type.type == ArgType::kAuto) {
    return field.Error("the argument is of type auto: give it a type, so that the values can be checked");
  }
  if (type.values == ValueClass::kNothing) {
    return field.Error(fmt::format("operator {} does not fit: type {} has nothing to compare", op.name, type.name));
  }
  std::string fitting;
  for (const OperatorInfo& one : kOperators) {
    if (Has(one.classes, type.values)) fitting += fmt::format("{}{}", fitting.empty() ? "" : ", ", one.name);
  }
  return field.Error(fmt::format("operator {} does not fit type {}: it has {}", op.name, type.name, fitting));
}

}  // namespace

StatusOr<ArgumentFilter> ParseArgumentFilter(const Field& field, const Hook& hook, ArgumentPlace place,
                                             const PolicyParts& policy) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"index", "args", "operator", "values"}));
  ArgumentFilter filter;
  SL_ASSIGN_OR_RETURN(const OperatorInfo* op, ParseFilterOperator(field));
  filter.op = op->op;
  SL_ASSIGN_OR_RETURN(const std::vector<std::size_t> operands, ParseOperands(field, hook, place));
  const bool two = op->op == Operator::kCapabilitiesGained;
  if (operands.size() != (two ? 2U : 1U)) {
    return field.Error(two ? "operator CapabilitiesGained compares two arguments: write args: [NEW, OLD]"
                           : fmt::format("operator {} compares one argument", op->name));
  }
  filter.argument = operands[0];
  if (two) filter.second = operands[1];
  const Field operator_field = *field.Get("operator");
  const std::vector<Argument>& arguments = ArgumentsOf(hook, place);
  for (const std::size_t operand : operands) {
    const ArgType type = place == ArgumentPlace::kReturn ? hook.return_arg->type : arguments[operand].type;
    SL_RETURN_IF_ERROR(CheckOperatorFits(operator_field, *op, InfoOf(type)));
  }
  const ArgType type = place == ArgumentPlace::kReturn ? hook.return_arg->type : arguments[filter.argument].type;
  SL_ASSIGN_OR_RETURN(filter.values, ParseFilterValues(field, *op, InfoOf(type), policy));
  return filter;
}

}  // namespace sluice::policy::tracing
