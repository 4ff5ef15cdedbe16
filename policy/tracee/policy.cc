#include "policy/tracee/policy.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/nearest.h"
#include "policy/resource/resource_scalar.h"
#include "policy/rules/loader.h"
#include "policy/tracee/filter.h"

namespace sluice::policy::tracee {
namespace {

constexpr std::string_view kApi = "tracee.aquasec.com/";
constexpr std::size_t kMaxRules = 1024;  // of one policy

std::string ScalarAt(const YamlNode& map, std::string_view key) {
  const YamlNode* const value = map.Find(key);
  return value == nullptr ? "" : value->scalar;
}

enum class Shape { kNone, kObject, kPlain, kOther };

Shape ShapeOf(const YamlNode& root) {
  if (root.type != YamlNode::Type::kMap) return Shape::kNone;
  if (ScalarAt(root, "apiVersion").starts_with(kApi))
    return ScalarAt(root, "kind") == "Policy" ? Shape::kObject : Shape::kOther;
  const std::string type = ScalarAt(root, "type");
  if (type == "policy") return Shape::kPlain;
  return type == "detector" || type == "string_list" ? Shape::kOther : Shape::kNone;
}

// A rule of the policy before it is compiled.
struct DraftRule {
  std::string event;
  std::string condition;
  Place place;
};

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
    SL_ASSIGN_OR_RETURN(const std::string condition, ConditionOfScope(item));
    ++count;
    global = global || condition.empty();
    if (!condition.empty()) all += (all.empty() ? "" : " and ") + condition;
    return OkStatus();
  });
  if (!read.ok()) return read;
  if (global && count > 1) return list->Error("global cannot have another scope beside it");
  return all;
}

Status UnknownEvent(const Field& field, const std::string& name) {
  if (name.starts_with('-'))
    return field.Error(
        fmt::format("{}: events are excluded from a set only, and sets are not known here", Quoted(name)));
  if (const std::string_view why = WhyMissing(name); !why.empty())
    return field.Error(fmt::format("{}: there is no such event here: {}", Quoted(name), why));
  std::vector<std::string> names;
  for (const EventInfo& event : Events()) names.emplace_back(event.name);
  const std::string near = Nearest(names, name);
  return field.Error(fmt::format("{}: there is no such event here{}", Quoted(name),
                                 near.empty() ? "" : fmt::format(": did you mean {}?", near)));
}

class PolicyReader {
 public:
  explicit PolicyReader(std::string scope) : scope_(std::move(scope)) {}

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
    const EventInfo* const event = FindEvent(name);
    if (event == nullptr) return UnknownEvent(field, name);
    if (!seen_.insert(name).second) return field.Error(fmt::format("{}: is there twice", Quoted(name)));
    if (drafts_.size() == kMaxRules) return field.Error(fmt::format("more than {} events", kMaxRules));
    std::string condition = fmt::format("({})", event->condition);
    if (!scope_.empty()) condition += " and " + scope_;
    // Of one name, one value is enough, and different names must all hold: as Tracee has it.
    std::map<std::string, std::string> by_name;
    if (const auto filters = rule.Get("filters")) {
      SL_RETURN_IF_ERROR(filters->ForEachItem([&](const Field& item) -> Status {
        SL_ASSIGN_OR_RETURN(const std::string one, ConditionOfFilter(item, *event));
        SL_ASSIGN_OR_RETURN(const std::string text, item.String());
        const std::size_t end = text.find_first_of("=!<>");
        const bool is_equal = end != std::string::npos && text[end] == '=';
        const std::string key = is_equal ? text.substr(0, end + 1) : text;
        std::string& all = by_name[key];
        all = all.empty() ? one : fmt::format("({} or {})", all, one);
        return OkStatus();
      }));
    }
    for (const auto& [key, one] : by_name) condition += " and " + one;
    drafts_.push_back({.event = name, .condition = condition, .place = rule.place()});
    return OkStatus();
  }

  const std::string scope_;
  std::set<std::string> seen_;
  std::vector<DraftRule> drafts_;
};

std::string YamlQuoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + "'";
}

// By way of a rules file, so that the loader's checks are the only ones.
StatusOr<std::vector<rules::Rule>> Compile(const Field& root, const std::string& policy, const std::string& description,
                                           const std::vector<DraftRule>& drafts) {
  std::string text;
  for (const DraftRule& draft : drafts) {
    const EventInfo* const event = FindEvent(draft.event);
    text += fmt::format("- rule: {}\n  desc: {}\n  condition: {}\n", YamlQuoted(policy + ": " + draft.event),
                        YamlQuoted(description.empty() ? policy : description), YamlQuoted(draft.condition));
    text += fmt::format(
        "  output: {}\n  priority: {}\n  tags: [tracee]\n  warn_evttypes: false\n",
        YamlQuoted(draft.event +
                   " | process=%proc.exepath command=%proc.cmdline parent=%proc.pname user=%user.name file=%fd.name "
                   "result=%evt.res container=%container.id pod=%k8s.pod.name namespace=%k8s.ns.name"),
        event->is_signature ? "WARNING" : "INFO");
  }
  rules::Loader loader;
  const rules::LoadResult loaded = loader.Load(policy, text);
  if (!loaded.ok()) return root.Error(fmt::format("cannot be compiled: {}", loaded.errors.front().what));
  std::vector<rules::Rule> all = loader.rules();
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].file = std::string(root.document().origin);
    all[i].place = drafts[i].place;
  }
  return all;
}

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

StatusOr<std::vector<rules::Rule>> ReadPolicy(const Field& root, Shape shape) {
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
  PolicyReader reader(scope.ok() ? *scope : "");
  Status first = scope.status();
  first.Update(list->ForEachItem([&](const Field& rule) { return reader.Read(rule); }));
  if (!first.ok()) return first;
  return Compile(root, named.name, named.description, reader.Take());
}

}  // namespace

bool IsPolicyText(std::string_view text) {
  bool found = false;
  const auto visit = [&](const YamlNode& root, int) { found = found || ShapeOf(root) != Shape::kNone; };
  return !ParseYaml(text, visit) && found;
}

LoadedPolicies LoadPolicies(const std::string& file, std::string_view text) {
  LoadedPolicies loaded;
  std::set<std::string> names;
  const auto visit = [&](const YamlNode& root, int number) {
    Document document{.origin = file, .subject = fmt::format("document {}", number)};
    const Shape shape = ShapeOf(root);
    const YamlNode* const metadata = root.type == YamlNode::Type::kMap ? root.Find("metadata") : nullptr;
    const std::string name = shape == Shape::kPlain ? ScalarAt(root, "name")
                             : metadata == nullptr  ? ""
                                                    : ScalarAt(*metadata, "name");
    if (!name.empty()) document.subject = document.object = "Policy/" + name;
    const Field field(document, root);
    if (shape == Shape::kNone || shape == Shape::kOther) {
      field
          .Error(shape == Shape::kNone ? "is no policy of Tracee's"
                                       : "detectors and lists are not read here: their conditions are programs (CEL)")
          .IgnoreError();
    } else if (!name.empty() && !names.insert(name).second) {
      field.Error(fmt::format("two policies are called {}", Quoted(name))).IgnoreError();
    } else if (auto rules = ReadPolicy(field, shape); rules.ok()) {
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
