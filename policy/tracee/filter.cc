#include "policy/tracee/filter.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/nearest.h"
#include "policy/resource/resource_scalar.h"

namespace sluice::policy::tracee {
namespace {

constexpr std::array<std::string_view, 6> kOperators = {"!=", "<=", ">=", "=", "<", ">"};

// What a filter says: NAME, or NAME OPERATOR VALUE[,VALUE].
struct Expression {
  std::string name;
  std::string_view op;  // one of kOperators; empty: the name alone
  std::vector<std::string> values;
};

std::vector<std::string> SplitValues(std::string_view text) {
  std::vector<std::string> values;
  while (true) {
    const std::size_t comma = text.find(',');
    values.emplace_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return values;
    text.remove_prefix(comma + 1);
  }
}

StatusOr<Expression> ParseExpression(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, field.String());
  const std::size_t end = text.find_first_of("=!<>");
  Expression out{.name = text.substr(0, end), .op = "", .values = {}};
  if (out.name.empty()) return field.Error(fmt::format("{}: no name", Quoted(text)));
  if (end == std::string::npos) return out;
  const std::string_view rest = std::string_view(text).substr(end);
  const auto op = std::find_if(kOperators.begin(), kOperators.end(),
                               [&](std::string_view candidate) { return rest.starts_with(candidate); });
  if (op == kOperators.end()) return field.Error(fmt::format("{}: unknown operator", Quoted(text)));
  out.op = *op;
  out.values = SplitValues(rest.substr(op->size()));
  for (const std::string& value : out.values) {
    if (value.empty()) return field.Error(fmt::format("{}: an empty value", Quoted(text)));
    if (value.find_first_of("\"\\\n") != std::string::npos)
      return field.Error(fmt::format("{}: a value with quotes, backslashes or line feeds", Quoted(text)));
  }
  return out;
}

bool IsNumber(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && text.size() <= 18 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// A text with "*" at one or both ends, or nowhere.
StatusOr<std::string> TextCheck(const Field& field, std::string_view name, std::string_view value) {
  const bool before = value.starts_with('*') && value.size() > 1, after = value.ends_with('*');
  std::string_view text = value;
  if (before) text.remove_prefix(1);
  if (after) text.remove_suffix(1);
  if (text.find('*') != std::string_view::npos)
    return field.Error(fmt::format("{}: \"*\" may be at the beginning and at the end only", Quoted(value)));
  if (text.empty()) return fmt::format("{} exists", name);
  const char* const op = before && after ? "contains" : before ? "endswith" : after ? "startswith" : "=";
  return fmt::format("{} {} \"{}\"", name, op, text);
}

StatusOr<std::string> Compare(const Field& field, const Expression& expression, std::string_view name, DataType type) {
  const bool negated = expression.op == "!=";
  if (type == DataType::kText && expression.op != "=" && !negated)
    return field.Error(fmt::format("{}: a text is compared by = and !=", expression.name));
  std::string any;
  for (const std::string& value : expression.values) {
    std::string check;
    if (type == DataType::kNumber) {
      if (!IsNumber(value)) return field.Error(fmt::format("{}: {} is no number", expression.name, Quoted(value)));
      check = fmt::format("{} {} {}", name, negated ? "=" : expression.op, value);
    } else {
      SL_ASSIGN_OR_RETURN(check, TextCheck(field, name, value));
    }
    any += (any.empty() ? "" : " or ") + check;
  }
  if (negated) return fmt::format("({} exists and not ({}))", name, any);
  return "(" + any + ")";
}

constexpr std::array<std::string_view, 8> kKnownElsewhere = {"mntns", "pidns",  "uts",      "tree",
                                                             "tid",   "follow", "cgroupId", "threadId"};

Status UnknownName(const Field& field, std::string_view name) {
  if (std::find(kKnownElsewhere.begin(), kKnownElsewhere.end(), name) != kKnownElsewhere.end())
    return field.Error(fmt::format("{}: events do not say that here", name));
  std::vector<std::string> names{"global", "container", "not-container"};
  for (const ContextField& known : ContextFields()) names.emplace_back(known.name);
  const std::string near = Nearest(names, name);
  return field.Error(near.empty() ? fmt::format("{}: unknown", Quoted(name))
                                  : fmt::format("{}: unknown: did you mean {}?", Quoted(name), near));
}

StatusOr<std::string> OfContainer(const Field& field, const Expression& expression) {
  if (expression.op.empty()) return std::string("container.id != host");
  if (expression.op != "=" && expression.op != "!=")
    return field.Error(fmt::format("container{}: compared by = and !=", expression.op));
  for (const std::string& value : expression.values) {
    if (value == "new" || value == "started")
      return field.Error(fmt::format("container={}: whether a container is new is not known here", value));
  }
  std::string any;
  for (const std::string& value : expression.values)
    any += fmt::format("{}container.full_id startswith \"{}\"", any.empty() ? "" : " or ", value);
  return expression.op == "=" ? "(" + any + ")" : fmt::format("(container.full_id exists and not ({}))", any);
}

StatusOr<std::string> OfContext(const Field& field, const Expression& expression) {
  if (expression.name == "container") return OfContainer(field, expression);
  if (expression.name == "not-container" || expression.name == "!container") return std::string("container.id = host");
  for (const ContextField& known : ContextFields()) {
    if (known.name != expression.name) continue;
    if (expression.op.empty()) return field.Error(fmt::format("{0}: needs a value, as in {0}=VALUE", expression.name));
    if (expression.values == std::vector<std::string>{"new"})
      return field.Error(fmt::format("{}=new: which processes are new is not known here", expression.name));
    return Compare(field, expression, known.field, known.type);
  }
  return UnknownName(field, expression.name);
}

StatusOr<std::string> OfData(const Field& field, const Expression& expression, const EventInfo& event,
                             std::string_view name) {
  if (expression.op.empty()) return field.Error(fmt::format("{0}: needs a value, as in {0}=VALUE", expression.name));
  for (const DataField& known : event.data) {
    if (known.name == name) return Compare(field, expression, known.field, known.type);
  }
  std::string names;
  for (const DataField& known : event.data) names += fmt::format("{}{}", names.empty() ? "" : ", ", known.name);
  return field.Error(fmt::format("{}: of the event {} filters may name {}", expression.name, event.name,
                                 names.empty() ? "no data here" : names));
}

}  // namespace

StatusOr<std::string> ConditionOfScope(const Field& field) {
  SL_ASSIGN_OR_RETURN(const Expression expression, ParseExpression(field));
  if (expression.name == "global" && expression.op.empty()) return std::string();
  return OfContext(field, expression);
}

StatusOr<std::string> ConditionOfFilter(const Field& field, const EventInfo& event) {
  SL_ASSIGN_OR_RETURN(const Expression expression, ParseExpression(field));
  if (expression.name == "retval") {
    if (expression.op.empty()) return field.Error("retval: needs a value, as in retval=0");
    return Compare(field, expression, "evt.rawres", DataType::kNumber);
  }
  for (const std::string_view prefix : {"data.", "args."}) {
    if (expression.name.starts_with(prefix))
      return OfData(field, expression, event, std::string_view(expression.name).substr(prefix.size()));
  }
  return OfContext(field, expression);
}

}  // namespace sluice::policy::tracee
