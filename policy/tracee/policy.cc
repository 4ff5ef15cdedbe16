#include "policy/tracee/policy.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "policy/resource/resource_scalar.h"
#include "policy/tracee/detector_reader.h"
#include "policy/tracee/draft_rule.h"
#include "policy/tracee/filter.h"

namespace sluice::policy::tracee {
namespace {

constexpr std::string_view kApi = "tracee.aquasec.com/";
constexpr std::size_t kMaxRules = 1024;  // of one policy

std::string ScalarAt(const YamlNode& map, std::string_view key) {
  const YamlNode* const value = map.Find(key);
  return value == nullptr ? "" : value->scalar;
}

enum class Shape { kNone, kObject, kPlain, kDetector, kOther };

Shape ShapeOf(const YamlNode& root) {
  if (root.type != YamlNode::Type::kMap) return Shape::kNone;
  if (ScalarAt(root, "apiVersion").starts_with(kApi))
    return ScalarAt(root, "kind") == "Policy" ? Shape::kObject : Shape::kOther;
  const std::string type = ScalarAt(root, "type");
  if (type == "policy") return Shape::kPlain;
  return DetectorKindOf(root) == DetectorKind::kNone ? Shape::kNone : Shape::kDetector;
}

Status ReadActions(const Field& field, std::string_view key) {
  const auto list = field.Get(key);
  if (!list) return OkStatus();
  return list->ForEachItem([](const Field& action) -> Status {
    SL_ASSIGN_OR_RETURN(const std::string name, action.String());
    if (name == "log" || name == "print") return OkStatus();
    return action.Error(fmt::format("unknown action {}: there is log", Quoted(name)));
  });
}

// All of them, with "and" between.
StatusOr<std::string> ReadScope(const Field& spec) {
  const auto list = spec.Get("scope");
  if (!list) return spec.Missing("scope");
  if (list->node().items.empty()) return list->Error("is empty: write global for every process");
  std::string all;
  bool global = false;
  std::size_t count = 0;
  const Status read = list->ForEachItem([&](const Field& item) -> Status {
    SL_ASSIGN_OR_RETURN(const std::string text, item.String());
    const auto scope = ConditionOfScope(text);
    if (!scope.ok()) return item.Error(Message(scope.status()));
    const std::string& condition = *scope;
    ++count;
    global = global || condition.empty();
    if (!condition.empty()) all += (all.empty() ? "" : " and ") + condition;
    return OkStatus();
  });
  if (!read.ok()) return read;
  if (global && count > 1) return list->Error("global cannot have another scope beside it");
  return all;
}

class PolicyReader {
 public:
  // `name`, `description`: of the policy.
  PolicyReader(std::string name, std::string description, std::string scope, std::span<const ProducedEvent> produced)
      : name_(std::move(name)), description_(std::move(description)), scope_(std::move(scope)), produced_(produced) {}

  Status Read(const Field& rule) {
    SL_RETURN_IF_ERROR(rule.AllowOnly({"event", "filters", "actions"}));
    SL_RETURN_IF_ERROR(ReadActions(rule, "actions"));
    const auto event = rule.Get("event");
    if (!event) return rule.Missing("event");
    SL_ASSIGN_OR_RETURN(const std::string names, event->String());
    Status first = OkStatus();
    std::string_view rest = names;
    while (true) {
      const std::size_t comma = rest.find(',');
      first.Update(Add(rule, *event, std::string(rest.substr(0, comma))));
      if (comma == std::string_view::npos) return first;
      rest.remove_prefix(comma + 1);
    }
  }

  std::vector<DraftRule> Take() { return std::move(drafts_); }

 private:
  Status Add(const Field& rule, const Field& field, std::string name) {
    name.erase(0, std::min(name.find_first_not_of(' '), name.size()));
    const ProducedEvent event = Find(name);
    if (event.sources.empty()) return field.Error(UnknownEvent(name));
    if (!seen_.insert(name).second) return field.Error(fmt::format("{}: is there twice", Quoted(name)));
    if (drafts_.size() == kMaxRules) return field.Error(fmt::format("more than {} events", kMaxRules));
    std::string condition;
    for (const EventSource& source : event.sources) {
      SL_ASSIGN_OR_RETURN(const std::string one, ConditionOf(rule, name, source));
      condition += condition.empty() ? one : " or " + one;
    }
    drafts_.push_back({.name = name_ + ": " + name,
                       .description = description_.empty() ? name_ : description_,
                       .condition = condition,
                       .output = fmt::format("{} | {}", name, kCommonOutput),
                       .priority = event.priority,
                       .tags = {},
                       .place = rule.place()});
    return OkStatus();
  }

  // No sources: there is none.
  ProducedEvent Find(const std::string& name) const {
    if (const EventInfo* const event = FindEvent(name); event != nullptr)
      return {.name = name, .priority = event->is_signature ? "WARNING" : "INFO", .sources = {SourceOf(*event)}};
    for (const ProducedEvent& known : produced_) {
      if (known.name == name) return known;
    }
    return {};
  }

  // With the policy's scope and the rule's filters.
  StatusOr<std::string> ConditionOf(const Field& rule, const std::string& event, const EventSource& source) const {
    FilterSet set;
    if (const auto filters = rule.Get("filters")) {
      SL_RETURN_IF_ERROR(filters->ForEachItem([&](const Field& item) -> Status {
        SL_ASSIGN_OR_RETURN(const std::string text, item.String());
        const auto one = ConditionOfFilter(text, event, source.data);
        if (!one.ok()) return item.Error(Message(one.status()));
        set.Add(text, *one);
        return OkStatus();
      }));
    }
    return source.condition + (scope_.empty() ? "" : " and " + scope_) + set.Condition();
  }

  const std::string name_, description_, scope_;
  const std::span<const ProducedEvent> produced_;
  std::set<std::string> seen_;
  std::vector<DraftRule> drafts_;
};

struct Named {
  std::string name;
  std::string description;
};

StatusOr<Named> ReadNames(const Field& root, bool is_object) {
  const auto text = [](const Field& field) { return field.String(); };
  Named named;
  if (!is_object) {
    SL_RETURN_IF_ERROR(root.Read("name", named.name, text));
    SL_RETURN_IF_ERROR(root.Read("description", named.description, text));
    if (named.name.empty()) return root.Missing("name");
    return named;
  }
  const auto metadata = root.Get("metadata");
  if (!metadata) return root.Missing("metadata");
  SL_RETURN_IF_ERROR(metadata->Read("name", named.name, text));
  if (named.name.empty()) return metadata->Missing("name");
  if (const auto annotations = metadata->Get("annotations"))
    SL_RETURN_IF_ERROR(annotations->Read("description", named.description, text));
  return named;
}

StatusOr<std::vector<rules::Rule>> ReadPolicy(const Field& root, Shape shape, std::span<const ProducedEvent> produced) {
  const bool is_object = shape == Shape::kObject;
  if (is_object) {
    SL_RETURN_IF_ERROR(root.AllowOnly({"apiVersion", "kind", "metadata", "spec"}));
  } else {
    SL_RETURN_IF_ERROR(root.AllowOnly({"type", "name", "description", "version", "scope", "rules", "defaultActions"}));
  }
  SL_ASSIGN_OR_RETURN(const Named named, ReadNames(root, is_object));
  const auto spec = is_object ? root.Get("spec") : std::optional<Field>(root);
  if (!spec) return root.Missing("spec");
  if (is_object) SL_RETURN_IF_ERROR(spec->AllowOnly({"scope", "rules", "defaultActions"}));
  SL_RETURN_IF_ERROR(ReadActions(*spec, "defaultActions"));
  auto scope = ReadScope(*spec);
  const auto list = spec->Get("rules");
  if (!list) return spec->Missing("rules");
  if (list->node().items.empty()) return list->Error("is empty: the policy would do nothing");
  PolicyReader reader(named.name, named.description, scope.ok() ? *scope : "", produced);
  Status first = scope.status();
  first.Update(list->ForEachItem([&](const Field& rule) { return reader.Read(rule); }));
  if (!first.ok()) return first;
  auto rules = CompileDrafts(std::string(root.document().origin), reader.Take());
  if (!rules.ok()) return root.Error(Message(rules.status()));
  return rules;
}

}  // namespace

bool IsPolicyText(std::string_view text) {
  bool found = false;
  const auto visit = [&](const YamlNode& root, int) {
    const Shape shape = ShapeOf(root);
    found = found || (shape != Shape::kNone && shape != Shape::kDetector);
  };
  return !ParseYaml(text, visit) && found;
}

LoadedPolicies LoadPolicies(const std::string& file, std::string_view text, std::span<const ProducedEvent> produced) {
  LoadedPolicies loaded;
  std::set<std::string> names;
  const auto visit = [&](const YamlNode& root, int number) {
    Document document{.origin = file, .subject = fmt::format("document {}", number)};
    const Shape shape = ShapeOf(root);
    if (shape == Shape::kDetector) return;
    const YamlNode* const metadata = root.type == YamlNode::Type::kMap ? root.Find("metadata") : nullptr;
    const std::string name = shape == Shape::kPlain ? ScalarAt(root, "name")
                             : metadata == nullptr  ? ""
                                                    : ScalarAt(*metadata, "name");
    if (!name.empty()) document.subject = document.object = "Policy/" + name;
    const Field field(document, root);
    if (shape == Shape::kNone || shape == Shape::kOther) {
      field.Error("is no policy of Tracee's").IgnoreError();
    } else if (!name.empty() && !names.insert(name).second) {
      field.Error(fmt::format("two policies are called {}", Quoted(name))).IgnoreError();
    } else if (auto rules = ReadPolicy(field, shape, produced); rules.ok()) {
      loaded.policies++;
      for (rules::Rule& rule : *rules) loaded.rules.push_back(std::move(rule));
    }
    loaded.problems.insert(loaded.problems.end(), document.problems.begin(), document.problems.end());
  };
  if (const auto error = ParseYaml(text, visit))
    loaded.problems.push_back({.place = error->place, .subject = "", .object = "", .what = error->what});
  return loaded;
}

}  // namespace sluice::policy::tracee
