#include "policy/tracee/cel.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/nearest.h"
#include "policy/tracee/cel_lexer.h"

namespace sluice::policy::tracee {
namespace {

using Kind = CelValue::Kind;

constexpr std::size_t kMostExpression = 16U << 10;  // bytes
constexpr int kMostNested = 64;

constexpr std::array kWorkloadFields = {
    WorkloadField{"process.executable.path", "proc.exepath"},
    WorkloadField{"process.host_pid", "proc.pid", DataType::kNumber},
    WorkloadField{"process.pid", "proc.vpid", DataType::kNumber},
    WorkloadField{"process.real_user.id", "user.uid", DataType::kNumber},
    WorkloadField{"process.thread.host_tid", "thread.tid", DataType::kNumber},
    WorkloadField{"process.thread.name", "proc.name"},
    WorkloadField{"process.thread.syscall", "evt.type"},
    WorkloadField{"container.id", "container.full_id"},
    WorkloadField{"container.image.id", "container.image.id"},
    WorkloadField{"container.image.name", "container.image"},
    WorkloadField{"container.name", "container.name", DataType::kText, "host"},
    WorkloadField{"k8s.namespace.name", "k8s.ns.name"},
    WorkloadField{"k8s.pod.name", "k8s.pod.name"},
    WorkloadField{"k8s.pod.uid", "k8s.pod.uid"},
};

// Of one argument; what rules call them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kTransforms = {
    {{"lower", "tolower"}, {"upper", "toupper"}, {"basename", "basename"}}};
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kTextChecks = {
    {{"startsWith", "startswith"}, {"endsWith", "endswith"}, {"contains", "contains"}}};
constexpr std::array<std::string_view, 6> kComparisons = {"==", "!=", "<=", ">=", "<", ">"};

template <typename Table>
std::string_view FindIn(const Table& table, std::string_view name) {
  for (const auto& [key, value] : table) {
    if (key == name) return value;
  }
  return "";
}

// A condition, or a value that becomes part of one.
struct Part {
  bool is_condition = false;
  std::string condition;
  CelValue value;
  std::size_t column = 1;
};

// The value is missing, or stands for none.
std::string IsEmpty(const CelValue& value) {
  std::string none = fmt::format("not {0} exists or {0} = \"\"", value.field);
  if (!value.empty.empty()) none += fmt::format(" or {} = {}", value.field, QuotedForRules(value.empty));
  return "(" + none + ")";
}

class Compiler {
 public:
  Compiler(std::vector<CelToken> tokens, const CelNames& names) : tokens_(std::move(tokens)), names_(names) {}

  StatusOr<Part> Whole() {
    SL_ASSIGN_OR_RETURN(Part part, Or());
    if (Is("?")) return Refuse("a ? b : c");
    if (Now().kind != CelToken::Kind::kEnd) return CelErrorAt(Now().column, fmt::format("unexpected {}", Now().text));
    return part;
  }

 private:
  const CelToken& Now() const { return tokens_[at_]; }
  bool Is(std::string_view sign) const {
    return (Now().kind == CelToken::Kind::kSign || Now().kind == CelToken::Kind::kName) && Now().text == sign;
  }
  bool Take(std::string_view sign) {
    if (!Is(sign)) return false;
    ++at_;
    return true;
  }
  Status Expect(std::string_view sign) {
    if (Take(sign)) return OkStatus();
    return CelErrorAt(Now().column, fmt::format("expected {}, not {}", sign, Now().text));
  }
  Status Refuse(std::string_view what) const {
    return CelErrorAt(Now().column, fmt::format("{} is not known here", what));
  }

  StatusOr<Part> Join(std::string_view sign, std::string_view word, StatusOr<Part> (Compiler::*next)()) {
    SL_ASSIGN_OR_RETURN(Part all, (this->*next)());
    while (Is(sign)) {
      SL_RETURN_IF_ERROR(CheckCondition(all));
      ++at_;
      SL_ASSIGN_OR_RETURN(const Part more, (this->*next)());
      SL_RETURN_IF_ERROR(CheckCondition(more));
      all.condition = fmt::format("({} {} {})", all.condition, word, more.condition);
    }
    return all;
  }
  StatusOr<Part> Or() {
    if (++depth_ > kMostNested) return CelErrorAt(Now().column, "too deep");
    StatusOr<Part> part = Join("||", "or", &Compiler::And);
    --depth_;
    return part;
  }
  StatusOr<Part> And() { return Join("&&", "and", &Compiler::Comparison); }

  static Status CheckCondition(const Part& part) {
    return part.is_condition ? OkStatus() : CelErrorAt(part.column, "a value alone is no condition");
  }

  StatusOr<Part> Comparison() {
    SL_ASSIGN_OR_RETURN(Part left, Unary());
    for (const std::string_view sign : {"+", "-", "*", "/", "%"}) {
      if (Is(sign)) return Refuse(fmt::format("arithmetic ({})", sign));
    }
    const bool is_in = Is("in");
    const auto* const sign = std::find_if(kComparisons.begin(), kComparisons.end(), [&](auto one) { return Is(one); });
    if (!is_in && sign == kComparisons.end()) return left;
    const std::size_t column = Now().column;
    ++at_;
    SL_ASSIGN_OR_RETURN(const Part right, Unary());
    if (left.is_condition || right.is_condition) return CelErrorAt(column, "conditions are not compared here");
    StatusOr<std::string> condition =
        is_in ? In(column, left.value, right.value) : CompareValues(column, *sign, left.value, right.value);
    SL_RETURN_IF_ERROR(condition.status());
    return Part{.is_condition = true, .condition = *std::move(condition), .value = {}, .column = left.column};
  }

  static std::string_view Turned(std::string_view sign) {
    if (sign == "<") return ">";
    if (sign == ">") return "<";
    if (sign == "<=") return ">=";
    return sign == ">=" ? "<=" : sign;
  }

  static StatusOr<std::string> CompareValues(std::size_t column, std::string_view sign, const CelValue& left,
                                             const CelValue& right) {
    if (left.kind != Kind::kField && right.kind == Kind::kField)
      return CompareValues(column, Turned(sign), right, left);
    if (left.kind != Kind::kField) return CelErrorAt(column, "two constants are not compared here");
    if (right.kind == Kind::kField) return CelErrorAt(column, "two values of an event are not compared here");
    if (right.kind == Kind::kList) return CelErrorAt(column, "a list is not compared here: write in");
    const bool is_negated = sign == "!=";
    const bool is_equal = is_negated || sign == "==";
    std::string condition;
    if (right.kind == Kind::kNull) {
      condition = fmt::format("(not {} exists)", left.field);
    } else if ((right.kind == Kind::kNumber) != (left.type == DataType::kNumber)) {
      return CelErrorAt(column, "a text and a number are compared");
    } else if (right.kind == Kind::kNumber) {
      return fmt::format("({}{} {} {})", is_negated ? "not " : "", left.text, is_equal ? "=" : sign, right.text);
    } else {
      condition = right.text.empty() ? IsEmpty(left) : fmt::format("({} = {})", left.text, QuotedForRules(right.text));
    }
    if (!is_equal) return CelErrorAt(column, fmt::format("texts are compared by == and != here, not by {}", sign));
    return is_negated ? fmt::format("(not {})", condition) : condition;
  }

  static StatusOr<std::string> In(std::size_t column, const CelValue& left, const CelValue& right) {
    if (left.kind != Kind::kField) return CelErrorAt(column, "in needs a value of the event to its left here");
    if (right.kind != Kind::kList) return CelErrorAt(column, "in needs a list to its right here");
    if (right.items.empty()) return CelErrorAt(column, "the list is empty");
    if (right.type != left.type) return CelErrorAt(column, "a text and a number are compared");
    std::string items, empty;
    for (const std::string& item : right.items) {
      if (item.empty()) empty = " or " + IsEmpty(left);
      const bool is_text = left.type == DataType::kText;
      items += (items.empty() ? "" : ", ") + (is_text ? QuotedForRules(item) : item);
    }
    return fmt::format("({} in ({}){})", left.text, items, empty);
  }

  StatusOr<Part> Unary() {
    const std::size_t column = Now().column;
    if (Take("!")) {
      if (++depth_ > kMostNested) return CelErrorAt(column, "too deep");
      SL_ASSIGN_OR_RETURN(Part part, Unary());
      --depth_;
      SL_RETURN_IF_ERROR(CheckCondition(part));
      part.condition = fmt::format("(not {})", part.condition);
      return part;
    }
    if (Take("-")) {
      if (Now().kind != CelToken::Kind::kNumber) return CelErrorAt(column, "arithmetic (-) is not known here");
      SL_ASSIGN_OR_RETURN(Part part, Primary());
      part.value.text = "-" + part.value.text;
      return part;
    }
    SL_ASSIGN_OR_RETURN(Part part, Primary());
    while (Is(".") || Is("[")) {
      if (Is("[")) return Refuse("an index");
      ++at_;
      SL_ASSIGN_OR_RETURN(part, Method(std::move(part), Now()));
    }
    return part;
  }

  StatusOr<Part> Primary() {
    const CelToken token = Now();
    Part part{.is_condition = false, .condition = "", .value = {}, .column = token.column};
    if (token.kind == CelToken::Kind::kText) {
      ++at_;
      part.value = {.kind = Kind::kText, .text = token.text};
      return part;
    }
    if (token.kind == CelToken::Kind::kNumber) return Number(token);
    if (token.kind == CelToken::Kind::kName) return Name();
    if (Take("[")) return List(part.column);
    if (!Take("(")) return CelErrorAt(token.column, fmt::format("expected a value, not {}", token.text));
    SL_ASSIGN_OR_RETURN(part, Or());
    if (Is("?")) return Refuse("a ? b : c");
    SL_RETURN_IF_ERROR(Expect(")"));
    return part;
  }

  // CEL's unsigned ones end with u.
  StatusOr<Part> Number(const CelToken& token) {
    std::string digits = token.text;
    if (digits.ends_with('u')) digits.pop_back();
    const bool is_whole = digits.find_first_not_of("0123456789") == std::string::npos && digits.size() <= 18;
    if (!is_whole) return CelErrorAt(token.column, fmt::format("number {} is not known here", token.text));
    ++at_;
    if (Is(".")) return Refuse("a number with a fraction");
    return Part{.is_condition = false,
                .condition = "",
                .value = {.kind = Kind::kNumber, .type = DataType::kNumber, .text = digits},
                .column = token.column};
  }

  StatusOr<Part> List(std::size_t column) {
    CelValue list{.kind = Kind::kList};
    while (!Is("]")) {
      SL_ASSIGN_OR_RETURN(const Part item, Unary());
      const bool is_text = item.value.kind == Kind::kText;
      if (item.is_condition || (!is_text && item.value.kind != Kind::kNumber))
        return CelErrorAt(item.column, "a list has texts or numbers here");
      const DataType type = is_text ? DataType::kText : DataType::kNumber;
      if (!list.items.empty() && type != list.type) return CelErrorAt(item.column, "a list has texts and numbers");
      list.type = type;
      list.items.push_back(item.value.text);
      if (!Take(",")) break;
    }
    SL_RETURN_IF_ERROR(Expect("]"));
    return Part{.is_condition = false, .condition = "", .value = std::move(list), .column = column};
  }

  // A name with dots, which may be a function, and whose last part may be a method.
  StatusOr<Part> Name() {
    const CelToken first = Now();
    std::string path = first.text;
    ++at_;
    while (Is(".")) {
      const CelToken& part = tokens_[at_ + 1];
      if (part.kind != CelToken::Kind::kName) return CelErrorAt(part.column, "expected a name after the dot");
      const CelToken& after = tokens_[at_ + 2];
      if (after.kind == CelToken::Kind::kSign && after.text == "(") {
        if (path == "process" || path == "container" || path == "system" || path == "dns" || path == "kernel")
          return CelErrorAt(first.column, fmt::format("{}.{}(): data stores are not asked here", path, part.text));
        break;  // a method of what is before it
      }
      path += "." + part.text;
      at_ += 2;
    }
    return Is("(") ? Function(first, path) : Value(first, path);
  }

  StatusOr<Part> Value(const CelToken& token, std::string path) {
    Part part{.is_condition = false, .condition = "", .value = {}, .column = token.column};
    if (path == "null") return part;
    if (path == "true" || path == "false")
      return CelErrorAt(token.column, fmt::format("the constant {} is not known here", path));
    if (path.starts_with("event.")) path.erase(0, 6);
    constexpr std::string_view kWorkload = "workload.";
    if (path.starts_with(kWorkload)) {
      const std::string_view name = std::string_view(path).substr(kWorkload.size());
      std::vector<std::string> names;
      for (const WorkloadField& known : kWorkloadFields) {
        if (known.name == name) {
          part.value = FieldValue(known);
          return part;
        }
        names.push_back(std::string(kWorkload) + std::string(known.name));
      }
      const std::string near = Nearest(names, path);
      return CelErrorAt(token.column, fmt::format("{} is not known here{}", path,
                                                  near.empty() ? "" : fmt::format(": did you mean {}?", near)));
    }
    if (names_.lists != nullptr) {
      if (const auto list = names_.lists->find(path); list != names_.lists->end()) {
        part.value = {.kind = Kind::kList, .items = list->second};
        return part;
      }
    }
    const bool is_list = path.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == std::string::npos;
    return CelErrorAt(token.column, is_list ? "there is no list " + path : path + " is not known here");
  }

  static CelValue FieldValue(const WorkloadField& known) {
    return {.kind = Kind::kField,
            .type = known.type,
            .text = std::string(known.field),
            .field = std::string(known.field),
            .empty = std::string(known.empty),
            .items = {}};
  }

  StatusOr<std::vector<Part>> Arguments() {
    std::vector<Part> arguments;
    SL_RETURN_IF_ERROR(Expect("("));
    while (!Is(")")) {
      if (arguments.empty() && Is("event") && tokens_[at_ + 1].text == ",") {  // as in getEventData(event, "x")
        at_ += 2;
        continue;
      }
      SL_ASSIGN_OR_RETURN(Part argument, Or());
      arguments.push_back(std::move(argument));
      if (!Take(",")) break;
    }
    SL_RETURN_IF_ERROR(Expect(")"));
    return arguments;
  }

  StatusOr<Part> Function(const CelToken& token, const std::string& name) {
    const std::string_view transform = FindIn(kTransforms, name);
    const bool is_data = name == "getEventData", is_test = name == "hasData";
    if (!is_data && !is_test && transform.empty())
      return CelErrorAt(token.column, fmt::format("{}() is not known here", name));
    SL_ASSIGN_OR_RETURN(std::vector<Part> arguments, Arguments());
    if (arguments.size() != 1 || arguments[0].is_condition)
      return CelErrorAt(token.column, fmt::format("{}() needs one value", name));
    Part part{.is_condition = false, .condition = "", .value = {}, .column = token.column};
    CelValue& argument = arguments[0].value;
    if (!transform.empty()) {
      if (argument.kind != Kind::kField || argument.type != DataType::kText)
        return CelErrorAt(token.column, fmt::format("{}() needs a text of the event here", name));
      part.value = std::move(argument);
      part.value.text = fmt::format("{}({})", transform, part.value.text);
      return part;
    }
    if (argument.kind != Kind::kText) return CelErrorAt(token.column, fmt::format("{}() needs a name in quotes", name));
    auto data = names_.data ? names_.data(argument.text) : std::nullopt;
    if (!data)
      return CelErrorAt(token.column, fmt::format("{}({}): of this event expressions may name {}", name,
                                                  QuotedForRules(argument.text),
                                                  names_.data_names.empty() ? "no data here" : names_.data_names));
    if (is_data) {
      part.value = *std::move(data);
      return part;
    }
    if (data->kind != Kind::kField) return CelErrorAt(token.column, "hasData() of a constant is not known here");
    part.is_condition = true;
    part.condition = fmt::format("({} exists)", data->field);
    return part;
  }

  // `name` is the token that is read next.
  StatusOr<Part> Method(Part object, const CelToken& name) {
    if (name.kind != CelToken::Kind::kName) return CelErrorAt(name.column, "expected a name after the dot");
    const std::string_view check = FindIn(kTextChecks, name.text);
    const bool is_regex = name.text == "matches";
    if (check.empty() && !is_regex) return CelErrorAt(name.column, fmt::format(".{}() is not known here", name.text));
    ++at_;
    SL_ASSIGN_OR_RETURN(const std::vector<Part> arguments, Arguments());
    const bool is_text = arguments.size() == 1 && !arguments[0].is_condition && arguments[0].value.kind == Kind::kText;
    if (!is_text || arguments[0].value.text.empty())
      return CelErrorAt(name.column, fmt::format(".{}() needs a text that is written there and not empty", name.text));
    if (object.is_condition || object.value.kind != Kind::kField || object.value.type != DataType::kText)
      return CelErrorAt(name.column, fmt::format(".{}() needs a text of the event before it", name.text));
    const std::string& text = arguments[0].value.text;
    object.is_condition = true;
    // CEL looks for the expression anywhere, rules compare it with the whole text.
    object.condition = is_regex ? fmt::format("({} regex {})", object.value.text,
                                              QuotedForRules(fmt::format("(.|\n)*({})(.|\n)*", text)))
                                : fmt::format("({} {} {})", object.value.text, check, QuotedForRules(text));
    return object;
  }

  const std::vector<CelToken> tokens_;
  const CelNames& names_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

StatusOr<Part> CompileCel(std::string_view expression, const CelNames& names) {
  if (expression.size() > kMostExpression) return InvalidError("more than {} bytes", kMostExpression);
  SL_ASSIGN_OR_RETURN(std::vector<CelToken> tokens, SplitCel(expression));
  return Compiler(std::move(tokens), names).Whole();
}

}  // namespace

StatusOr<std::string> CompileCondition(std::string_view expression, const CelNames& names) {
  SL_ASSIGN_OR_RETURN(Part part, CompileCel(expression, names));
  if (!part.is_condition) return CelErrorAt(part.column, "a value alone is no condition");
  return std::move(part.condition);
}

StatusOr<CelValue> CompileValue(std::string_view expression, const CelNames& names) {
  SL_ASSIGN_OR_RETURN(Part part, CompileCel(expression, names));
  if (part.is_condition) return CelErrorAt(part.column, "a condition as a value is not known here");
  if (part.value.kind == Kind::kList || part.value.kind == Kind::kNull)
    return CelErrorAt(part.column, "a list or null as a value is not known here");
  return std::move(part.value);
}

std::span<const WorkloadField> WorkloadFields() { return kWorkloadFields; }

std::string QuotedForRules(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      out += std::string("\\") + c;
    else if (byte < 0x20 || byte == 0x7f)
      out += fmt::format("\\x{:02x}", byte);
    else
      out += c;
  }
  return out + "\"";
}

}  // namespace sluice::policy::tracee
