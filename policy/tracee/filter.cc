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

StatusOr<Expression> ParseExpression(std::string_view text) {
  const std::size_t end = text.find_first_of("=!<>");
  Expression out{.name = std::string(text.substr(0, end)), .op = "", .values = {}};
  if (out.name.empty()) return InvalidError("{}: no name", Quoted(text));
  if (end == std::string_view::npos) return out;
  const std::string_view rest = text.substr(end);
  const auto op = std::find_if(kOperators.begin(), kOperators.end(),
                               [&](std::string_view candidate) { return rest.starts_with(candidate); });
  if (op == kOperators.end()) return InvalidError("{}: unknown operator", Quoted(text));
  out.op = *op;
  out.values = SplitValues(rest.substr(op->size()));
  for (const std::string& value : out.values) {
    if (value.empty()) return InvalidError("{}: an empty value", Quoted(text));
    if (value.find_first_of("\"\\\n") != std::string::npos)
      return InvalidError("{}: a value with quotes, backslashes or line feeds", Quoted(text));
  }
  return out;
}

bool IsNumber(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && text.size() <= 18 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// A text with "*" at one or both ends, or nowhere.
StatusOr<std::string> TextCheck(std::string_view name, std::string_view value) {
  const bool before = value.starts_with('*') && value.size() > 1, after = value.ends_with('*');
  std::string_view text = value;
  if (before) text.remove_prefix(1);
  if (after) text.remove_suffix(1);
  if (text.find('*') != std::string_view::npos)
    return InvalidError("{}: \"*\" may be at the beginning and at the end only", Quoted(value));
  if (text.empty()) return fmt::format("{} exists", name);
  const char* const op = before && after ? "contains" : before ? "endswith" : after ? "startswith" : "=";
  return fmt::format("{} {} \"{}\"", name, op, text);
}

StatusOr<std::string> Compare(const Expression& expression, std::string_view name, DataType type) {
  const bool negated = expression.op == "!=";
  if (type == DataType::kText && expression.op != "=" && !negated)
    return InvalidError("{}: a text is compared by = and !=", expression.name);
  std::string any;
  for (const std::string& value : expression.values) {
    std::string check;
    if (type == DataType::kNumber) {
      if (!IsNumber(value)) return InvalidError("{}: {} is no number", expression.name, Quoted(value));
      check = fmt::format("{} {} {}", name, negated ? "=" : expression.op, value);
    } else {
      SL_ASSIGN_OR_RETURN(check, TextCheck(name, value));
    }
    any += (any.empty() ? "" : " or ") + check;
  }
  if (negated) return fmt::format("({} exists and not ({}))", name, any);
  return "(" + any + ")";
}

constexpr std::array<std::string_view, 8> kKnownElsewhere = {"mntns", "pidns",  "uts",      "tree",
                                                             "tid",   "follow", "cgroupId", "threadId"};

Status UnknownName(std::string_view name) {
  if (std::find(kKnownElsewhere.begin(), kKnownElsewhere.end(), name) != kKnownElsewhere.end())
    return InvalidError("{}: events do not say that here", name);
  std::vector<std::string> names{"global", "container", "not-container"};
  for (const ContextField& known : ContextFields()) names.emplace_back(known.name);
  const std::string near = Nearest(names, name);
  return near.empty() ? InvalidError("{}: unknown", Quoted(name))
                      : InvalidError("{}: unknown: did you mean {}?", Quoted(name), near);
}

StatusOr<std::string> OfContainer(const Expression& expression) {
  const bool is_any = expression.op == "=" && expression.values == std::vector<std::string>{"true"};
  if (expression.op.empty() || is_any) return std::string("container.id != host");
  if (expression.op == "=" && expression.values == std::vector<std::string>{"false"})
    return std::string("container.id = host");
  if (expression.op != "=" && expression.op != "!=")
    return InvalidError("container{}: compared by = and !=", expression.op);
  for (const std::string& value : expression.values) {
    if (value == "new" || value == "started")
      return InvalidError("container={}: whether a container is new is not known here", value);
  }
  std::string any;
  for (const std::string& value : expression.values)
    any += fmt::format("{}container.full_id startswith \"{}\"", any.empty() ? "" : " or ", value);
  return expression.op == "=" ? "(" + any + ")" : fmt::format("(container.full_id exists and not ({}))", any);
}

StatusOr<std::string> OfContext(const Expression& expression) {
  if (expression.name == "container") return OfContainer(expression);
  if (expression.name == "not-container") return std::string("container.id = host");
  for (const ContextField& known : ContextFields()) {
    if (known.name != expression.name) continue;
    if (expression.op.empty()) return InvalidError("{0}: needs a value, as in {0}=VALUE", expression.name);
    if (expression.values == std::vector<std::string>{"new"})
      return InvalidError("{}=new: which processes are new is not known here", expression.name);
    return Compare(expression, known.field, known.type);
  }
  return UnknownName(expression.name);
}

StatusOr<std::string> OfData(const Expression& expression, std::string_view event, std::string_view name,
                             const std::vector<FilterData>& data) {
  if (expression.op.empty()) return InvalidError("{0}: needs a value, as in {0}=VALUE", expression.name);
  std::string names;
  for (const FilterData& known : data) {
    if (known.name == name) return Compare(expression, known.field, known.type);
    names += fmt::format("{}{}", names.empty() ? "" : ", ", known.name);
  }
  return InvalidError("{}: of the event {} filters may name {}", expression.name, event,
                      names.empty() ? "no data here" : names);
}

}  // namespace

void FilterSet::Add(std::string_view text, const std::string& condition) {
  if (condition.empty()) return;
  const std::size_t end = text.find_first_of("=!<>");
  const bool is_equal = end != std::string_view::npos && text[end] == '=';
  std::string& all = by_name_[std::string(is_equal ? text.substr(0, end + 1) : text)];
  all = all.empty() ? condition : fmt::format("({} or {})", all, condition);
}

std::string FilterSet::Condition() const {
  std::string condition;
  for (const auto& [key, one] : by_name_) condition += " and " + one;
  return condition;
}

StatusOr<std::string> ConditionOfScope(std::string_view text) {
  SL_ASSIGN_OR_RETURN(const Expression expression, ParseExpression(text));
  if (expression.name == "global" && expression.op.empty()) return std::string();
  return OfContext(expression);
}

StatusOr<std::string> ConditionOfData(std::string_view text, std::string_view event,
                                      const std::vector<FilterData>& data) {
  SL_ASSIGN_OR_RETURN(const Expression expression, ParseExpression(text));
  return OfData(expression, event, expression.name, data);
}

StatusOr<std::string> ConditionOfFilter(std::string_view text, std::string_view event,
                                        const std::vector<FilterData>& data) {
  SL_ASSIGN_OR_RETURN(const Expression expression, ParseExpression(text));
  if (expression.name == "retval") {
    if (expression.op.empty()) return InvalidError("retval: needs a value, as in retval=0");
    return Compare(expression, "evt.rawres", DataType::kNumber);
  }
  for (const std::string_view prefix : {"data.", "args."}) {
    if (expression.name.starts_with(prefix))
      return OfData(expression, event, std::string_view(expression.name).substr(prefix.size()), data);
  }
  return OfContext(expression);
}

EventSource SourceOf(const EventInfo& event) {
  EventSource source{.condition = fmt::format("({})", event.condition), .data = {}};
  for (const DataField& known : event.data)
    source.data.push_back({.name = std::string(known.name), .field = std::string(known.field), .type = known.type});
  return source;
}

}  // namespace sluice::policy::tracee
