#include "policy/rules/prefilter.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <map>

#include "policy/rules/evaluate.h"
#include "policy/rules/event_sets.h"

namespace sluice::policy::rules {
namespace {

enum class Truth { kFalse, kTrue, kMaybe };

constexpr std::int64_t kLastError = 4095;    // MAX_ERRNO of the kernel
constexpr std::size_t kMaxNameTests = 4096;  // with more, no name is tested
constexpr std::string_view kGlobCharacters = "*?[\\";

Truth Not(Truth truth) {
  if (truth == Truth::kMaybe) return truth;
  return truth == Truth::kTrue ? Truth::kFalse : Truth::kTrue;
}

void AddFields(const ValueExpr& value, std::set<std::string_view>& fields) {
  if (value.kind == Operand::Kind::kField) fields.insert(value.field.info->name);
  for (const ValueExprPtr& part : value.parts) AddFields(*part, fields);
}

bool HasFunction(const ValueExpr& value) { return value.kind == Operand::Kind::kTransform; }

bool IsResult(std::string_view field) { return field == "evt.res" || field == "evt.rawres" || field == "fd.num"; }
bool IsKind(std::string_view field) { return field == "fd.type" || field == "fd.typechar" || field == "fd.sockfamily"; }
// Of sockets of IP only.
bool IsOfEnds(std::string_view field) {
  constexpr std::array<std::string_view, 19> kFields = {"fd.cip",  "fd.cip.name", "fd.cnet",     "fd.cport", "fd.ip",
                                                        "fd.lip",  "fd.lip.name", "fd.lnet",     "fd.lport", "fd.net",
                                                        "fd.port", "fd.rip",      "fd.rip.name", "fd.rnet",  "fd.rport",
                                                        "fd.sip",  "fd.sip.name", "fd.snet",     "fd.sport"};
  return std::find(kFields.begin(), kFields.end(), field) != kFields.end();
}
bool IsPort(std::string_view field) {
  return field == "fd.sport" || field == "fd.cport" || field == "fd.lport" || field == "fd.rport" || field == "fd.port";
}
bool IsOfIp(DescriptorKind kind) {
  return kind == DescriptorKind::kIpv4 || kind == DescriptorKind::kIpv6 || kind == DescriptorKind::kIpv4Listener ||
         kind == DescriptorKind::kIpv6Listener;
}
bool IsOpenMode(std::string_view field) { return field.starts_with("evt.is_open_"); }
bool IsAlwaysKnown(std::string_view field) {
  return field == "evt.type" || field == "syscall.type" || field == "evt.dir" || field == "evt.source" ||
         field == "evt.failed" || IsOpenMode(field);
}
// When the container began is known by its processes.
bool IsOfContainer(std::string_view field) {
  return (field.starts_with("container.") || field.starts_with("k8s.")) && field != "container.duration" &&
         field != "container.start_ts";
}

using FieldsOf = std::unordered_map<const BoundCheck*, std::vector<std::string_view>>;

// What is known of the events that are asked about.
class Knowledge {
 public:
  explicit Knowledge(const FieldsOf& fields) : fields_(fields) {}
  virtual ~Knowledge() = default;
  virtual Truth Decide(const BoundCheck& check) const = 0;

 protected:
  const std::vector<std::string_view>& FieldsIn(const BoundCheck& check) const { return fields_.at(&check); }

 private:
  const FieldsOf& fields_;
};

class KnownClass : public Knowledge {
 public:
  KnownClass(const EventClass& known, const FieldsOf& fields) : Knowledge(fields), known_(known) {}

  Truth Decide(const BoundCheck& check) const override {
    if (const auto decided = KnownOfNumber(check)) return *decided ? Truth::kTrue : Truth::kFalse;
    const auto& fields = FieldsIn(check);
    if (!std::all_of(fields.begin(), fields.end(), [this](std::string_view field) { return IsKnown(field); }))
      return Truth::kMaybe;
    const auto [memo, is_new] = decided_.try_emplace(check.key, Truth::kMaybe);
    if (is_new) memo->second = DecideNew(check);
    return memo->second;
  }

 private:
  Truth DecideNew(const BoundCheck& check) const {
    bool by_result = false, by_kind = false;
    for (const std::string_view field : FieldsIn(check)) {
      by_result = by_result || IsResult(field);
      by_kind = by_kind || (IsKind(field) && !known_.no_descriptor);
    }
    // Of results that are not errors only some are tried: enough for comparisons with constants.
    if (by_result && known_.outcome == Outcome::kSucceeded && (check.right != nullptr || HasFunction(*check.left)))
      return Truth::kMaybe;
    const std::vector<std::int64_t> results = by_result ? Results(check) : std::vector<std::int64_t>{AnyResult()};
    const std::vector<DescriptorKind> kinds =
        by_kind ? known_.kinds : std::vector<DescriptorKind>{DescriptorKind::kUnknown};
    bool some_true = false, some_false = false;
    for (const std::int64_t result : results) {
      for (const DescriptorKind kind : kinds) {
        (IsTrueFor(check, result, kind) ? some_true : some_false) = true;
        if (some_true && some_false) return Truth::kMaybe;
      }
    }
    return some_true ? Truth::kTrue : Truth::kFalse;
  }

  bool IsKnown(std::string_view field) const {
    if (IsAlwaysKnown(field)) return true;
    if (field == "fd.num") return known_.result_is_descriptor;
    if (IsResult(field)) return true;
    if (known_.no_descriptor && field.starts_with("fd.")) return true;  // they are all missing
    if (known_.kinds.empty()) return false;
    return IsKind(field) || (IsOfEnds(field) && std::none_of(known_.kinds.begin(), known_.kinds.end(), IsOfIp));
  }

  std::int64_t AnyResult() const {
    if (known_.outcome == Outcome::kSucceeded) return 0;
    return known_.outcome == Outcome::kInProgress ? -EINPROGRESS : -ENOENT;
  }

  // Results of which the check is true for all, or for none, if that is so for every result of the class.
  std::vector<std::int64_t> Results(const BoundCheck& check) const {
    if (known_.outcome == Outcome::kInProgress) return {-EINPROGRESS};
    std::vector<std::int64_t> results;
    if (known_.outcome == Outcome::kFailed) {
      for (std::int64_t error = 1; error <= kLastError; ++error) {
        if (error != EINPROGRESS) results.push_back(-error);
      }
      return results;
    }
    results = {0, 1, std::numeric_limits<std::int32_t>::max(), std::numeric_limits<std::int64_t>::max()};
    for (const Constant& constant : check.constants) {
      const auto number = static_cast<std::int64_t>(constant.number);
      if (number < 0) continue;
      results.push_back(number);
      if (number > 0) results.push_back(number - 1);
      if (number < std::numeric_limits<std::int64_t>::max()) results.push_back(number + 1);
    }
    return results;
  }

  bool IsTrueFor(const BoundCheck& check, std::int64_t result, DescriptorKind kind) const {
    Event event;
    Descriptor descriptor;
    event.type = known_.type;
    event.result = result;
    event.open = known_.open;
    if (known_.result_is_descriptor) event.descriptor_number = result < 0 ? -1 : result;
    descriptor.kind = kind;
    descriptor.is_open = !(known_.result_is_descriptor && known_.outcome != Outcome::kSucceeded);
    if (!known_.no_descriptor) event.descriptor = &descriptor;
    return EvaluateCheck(check, event);
  }

  const EventClass& known_;
  mutable std::map<std::string_view, Truth> decided_;
};

class KnownContainer : public Knowledge {
 public:
  KnownContainer(EventType type, const Container& container, const FieldsOf& fields) : Knowledge(fields) {
    event_.type = type;
    event_.container = &container;
  }

  Truth Decide(const BoundCheck& check) const override {
    if (const auto decided = KnownOfNumber(check)) return *decided ? Truth::kTrue : Truth::kFalse;
    for (const std::string_view field : FieldsIn(check)) {
      const bool known = IsOfContainer(field) || field == "evt.type" || field == "syscall.type" || field == "evt.dir" ||
                         field == "evt.source";
      if (!known) return Truth::kMaybe;
    }
    return EvaluateCheck(check, event_) ? Truth::kTrue : Truth::kFalse;
  }

 private:
  Event event_;
};

// Conditions share parts, so each is looked at once.
class Decider {
 public:
  explicit Decider(const Knowledge& knowledge) : knowledge_(knowledge) {}

  Truth Decide(const BoundCondition& node) {
    if (const auto known = known_.find(&node); known != known_.end()) return known->second;
    const Truth truth = DecideNew(node);
    known_.emplace(&node, truth);
    return truth;
  }

 private:
  Truth DecideNew(const BoundCondition& node) {
    if (node.kind == Condition::Kind::kCheck) return knowledge_.Decide(*node.check);
    if (node.kind == Condition::Kind::kNot) return Not(Decide(*node.parts.front()));
    const Truth decisive = node.kind == Condition::Kind::kAnd ? Truth::kFalse : Truth::kTrue;
    bool maybe = false;
    for (const BoundConditionPtr& part : node.parts) {
      const Truth truth = Decide(*part);
      if (truth == decisive) return decisive;
      maybe = maybe || truth == Truth::kMaybe;
    }
    return maybe ? Truth::kMaybe : Not(decisive);
  }

  const Knowledge& knowledge_;
  std::map<const BoundCondition*, Truth> known_;
};

using Tests = std::optional<std::set<NameTest>>;  // absent: no test is known

NameTest Exactly(const std::string& text) { return {NameTest::Kind::kPrefix, text + '\0'}; }
NameTest Beginning(const std::string& text) { return {NameTest::Kind::kPrefix, text}; }
NameTest Ending(const std::string& text) { return {NameTest::Kind::kSuffix, text}; }
NameTest Having(const std::string& text) { return {NameTest::Kind::kPart, text}; }

// What a name has that is true for the check with this text. False: nothing is known.
bool AddTestOfName(Operator op, const std::string& text, std::set<NameTest>& tests) {
  switch (op) {
    case Operator::kEqual:
    case Operator::kIn:
    case Operator::kIntersects:
      tests.insert(Exactly(text));
      return true;
    case Operator::kStartsWith:
      tests.insert(Beginning(text));
      return true;
    case Operator::kEndsWith:
      tests.insert(Ending(text));
      return true;
    case Operator::kContains:
      tests.insert(Having(text));
      return true;
    case Operator::kGlob: {
      const std::string literal = text.substr(0, text.find_first_of(kGlobCharacters));
      if (literal.empty()) return false;
      tests.insert(literal.size() == text.size() ? Exactly(text) : Beginning(literal));
      return true;
    }
    case Operator::kPathMatch: {
      // Empty components do not count, so that only a path that is written in full has a known beginning.
      const std::string literal = text.substr(0, text.find_first_of(kGlobCharacters));
      if (literal.size() < 2 || literal.front() != '/' || literal.find("//") != std::string::npos) return false;
      tests.insert(Beginning(literal.back() == '/' ? literal.substr(0, literal.size() - 1) : literal));
      return true;
    }
    default:
      return false;
  }
}

// The directory of a name without "/", or with one at the front only, is "/".
bool AddTestOfDirectory(Operator op, const std::string& text, std::set<NameTest>& tests) {
  if (text.size() < 2 || text.front() != '/') return false;
  if (op == Operator::kStartsWith) {
    tests.insert(Beginning(text));
    return true;
  }
  if (op != Operator::kEqual && op != Operator::kIn && op != Operator::kIntersects) return false;
  tests.insert(Beginning(text.back() == '/' ? text : text + '/'));
  tests.insert(Exactly(text));
  return true;
}

bool AddTestOfFile(Operator op, const std::string& text, std::set<NameTest>& tests) {
  if (text.find('/') != std::string::npos) return false;
  if (op == Operator::kEndsWith) {
    tests.insert(Ending(text));
    return true;
  }
  if (op != Operator::kEqual && op != Operator::kIn && op != Operator::kIntersects) return false;
  tests.insert(Ending('/' + text));
  return true;
}

// fd.nameraw has one "/" where the caller's text has several, so only what is up to the second name is sure to be
// there.
bool AddTestOfRawName(Operator op, const std::string& text, std::set<NameTest>& tests) {
  if (op != Operator::kContains) return false;
  const std::size_t slash = text.find('/', 1);
  tests.insert({NameTest::Kind::kRawPart, text.substr(0, slash == std::string::npos ? slash : slash + 1)});
  return true;
}

Tests TestsOfPorts(const BoundCheck& check) {
  const bool compares = check.op == Operator::kEqual || check.op == Operator::kIn || check.op == Operator::kIntersects;
  if (!compares || check.constants.empty()) return std::nullopt;
  std::set<NameTest> tests;
  for (const Constant& constant : check.constants)
    tests.insert({NameTest::Kind::kPort, std::to_string(constant.number)});
  return tests;
}

Tests TestsOfCheck(const BoundCheck& check) {
  if (check.left->kind != Operand::Kind::kField || check.right != nullptr) return std::nullopt;
  const std::string_view field = check.left->field.info->name;
  if (IsPort(field)) return TestsOfPorts(check);
  std::set<NameTest> tests;
  for (const Constant& constant : check.constants) {
    const std::string& text = constant.text;
    if (text.empty() || text.find('\0') != std::string::npos) return std::nullopt;
    const bool added = field == "fd.name"        ? AddTestOfName(check.op, text, tests)
                       : field == "fd.directory" ? AddTestOfDirectory(check.op, text, tests)
                       : field == "fd.filename"  ? AddTestOfFile(check.op, text, tests)
                       : field == "fd.nameraw"   ? AddTestOfRawName(check.op, text, tests)
                                                 : false;
    if (!added) return std::nullopt;
  }
  if (check.constants.empty()) return std::nullopt;
  return tests;
}

// A part at any place takes longer to look for than the beginnings and ends of many names.
std::size_t CostOf(const std::set<NameTest>& tests) {
  constexpr std::size_t kPartCost = 64;
  std::size_t cost = 0;
  for (const NameTest& test : tests)
    cost += test.kind == NameTest::Kind::kPart || test.kind == NameTest::Kind::kRawPart ? kPartCost : 1;
  return cost;
}

// Tests of which one holds for every event of the class that the condition is true for.
class TestFinder {
 public:
  explicit TestFinder(Decider& decider) : decider_(decider) {}

  Tests Find(const BoundCondition& node) {
    const Truth truth = decider_.Decide(node);
    if (truth == Truth::kFalse) return std::set<NameTest>();
    if (truth == Truth::kTrue || node.kind == Condition::Kind::kNot) return std::nullopt;
    if (node.kind == Condition::Kind::kCheck) return TestsOfCheck(*node.check);
    return node.kind == Condition::Kind::kAnd ? OfAnd(node) : OfOr(node);
  }

 private:
  Tests OfAnd(const BoundCondition& node) {
    Tests best;
    for (const BoundConditionPtr& part : node.parts) {
      Tests of_part = Find(*part);
      if (of_part && (!best || CostOf(*of_part) < CostOf(*best))) best = std::move(of_part);
    }
    return best;
  }

  Tests OfOr(const BoundCondition& node) {
    std::set<NameTest> all;
    for (const BoundConditionPtr& part : node.parts) {
      const Tests of_part = Find(*part);
      if (!of_part) return std::nullopt;
      all.insert(of_part->begin(), of_part->end());
    }
    return all;
  }

  Decider& decider_;
};

void AddConditionFields(const BoundCondition& node, std::set<const BoundCondition*>& seen, FieldsOf& fields) {
  if (!seen.insert(&node).second) return;
  if (node.kind == Condition::Kind::kCheck) {
    std::set<std::string_view> names;
    AddFields(*node.check->left, names);
    if (node.check->right != nullptr) AddFields(*node.check->right, names);
    fields.emplace(node.check.get(), std::vector<std::string_view>(names.begin(), names.end()));
  }
  for (const BoundConditionPtr& part : node.parts) AddConditionFields(*part, seen, fields);
}

}  // namespace

Prefilter::Prefilter(std::vector<std::shared_ptr<const Ruleset>> rulesets) {
  std::set<const BoundCondition*> seen;
  for (auto& ruleset : rulesets) {
    if (ruleset == nullptr) continue;
    types_ |= ruleset->event_types();
    for (const Rule& rule : ruleset->rules()) {
      AddConditionFields(*rule.condition, seen, fields_of_);
      for (const OutputField& field : rule.output.fields()) {
        std::set<std::string_view> names;
        AddFields(*field.value, names);
        fields_.insert(names.begin(), names.end());
      }
    }
    rulesets_.push_back(std::move(ruleset));
  }
  for (const auto& [check, names] : fields_of_) fields_.insert(names.begin(), names.end());
}

bool Prefilter::Wants(const EventClass& known) const {
  if (!types_.test(known.type)) return false;
  const KnownClass knowledge(known, fields_of_);
  Decider decider(knowledge);
  for (const auto& ruleset : rulesets_) {
    for (const Rule& rule : ruleset->rules()) {
      if (rule.event_types.test(known.type) && decider.Decide(*rule.condition) != Truth::kFalse) return true;
    }
  }
  return false;
}

bool Prefilter::Wants(EventType type, const Container* container) const {
  if (!types_.test(type)) return false;
  if (container == nullptr) return true;
  const KnownContainer knowledge(type, *container, fields_of_);
  Decider decider(knowledge);
  for (const auto& ruleset : rulesets_) {
    for (const Rule& rule : ruleset->rules()) {
      if (rule.event_types.test(type) && decider.Decide(*rule.condition) != Truth::kFalse) return true;
    }
  }
  return false;
}

std::optional<std::set<NameTest>> Prefilter::NameTests(const EventClass& known) const {
  std::set<NameTest> all;
  const KnownClass knowledge(known, fields_of_);
  Decider decider(knowledge);
  TestFinder finder(decider);
  for (const auto& ruleset : rulesets_) {
    for (const Rule& rule : ruleset->rules()) {
      if (!rule.event_types.test(known.type)) continue;
      const Tests tests = finder.Find(*rule.condition);
      if (!tests) return std::nullopt;
      all.insert(tests->begin(), tests->end());
      if (all.size() > kMaxNameTests) return std::nullopt;
    }
  }
  return all;
}

bool Prefilter::Asks(std::string_view field_prefix) const {
  const auto first = fields_.lower_bound(field_prefix);
  return first != fields_.end() && first->starts_with(field_prefix);
}

}  // namespace sluice::policy::rules
