#include "policy/tracee/detector.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "policy/resource/resource_scalar.h"
#include "policy/tracee/cel.h"
#include "policy/tracee/detector_reader.h"
#include "policy/tracee/draft_rule.h"
#include "policy/tracee/filter.h"

namespace sluice::policy::tracee {
namespace {

constexpr std::size_t kMostSources = 256;           // of one detector
constexpr std::size_t kMostCondition = 256U << 10;  // bytes of one
constexpr int kMostChained = 16;                    // detectors that build on each other

using Lists = std::map<std::string, std::vector<std::string>, std::less<>>;

// What an event is decided by once detectors are put in its place.
struct Source {
  std::string event;  // of the sensors
  std::string condition;
  std::vector<std::pair<std::string, CelValue>> data;  // by the names that expressions use
};

struct Resolved {
  bool is_good = false;
  int depth = 0;  // 1: on events of the sensors alone
  std::vector<Source> sources;
};

CelValue FieldOf(const DataField& data) {
  return {.kind = CelValue::Kind::kField,
          .type = data.type,
          .text = std::string(data.field),
          .field = std::string(data.field),
          .empty = "",
          .items = {}};
}

Source DirectSource(const EventInfo& event) {
  Source source{.event = std::string(event.name), .condition = fmt::format("({})", event.condition), .data = {}};
  for (const DataField& data : event.data) source.data.emplace_back(data.name, FieldOf(data));
  return source;
}

std::vector<FilterData> FilterDataOf(const Source& source) {
  std::vector<FilterData> data;
  for (const auto& [name, value] : source.data) {
    if (value.kind == CelValue::Kind::kField) data.push_back({.name = name, .field = value.text, .type = value.type});
  }
  return data;
}

std::string_view PriorityOf(const std::string& severity) {
  if (severity == "critical") return "CRITICAL";
  if (severity == "high") return "ERROR";
  if (severity == "medium") return "WARNING";
  return severity == "low" ? "NOTICE" : "INFO";
}

class Resolver {
 public:
  Resolver(const std::vector<Detector>& detectors, const Lists& lists, std::vector<FileProblem>* problems)
      : lists_(lists), problems_(problems) {
    for (const Detector& detector : detectors) by_name_.emplace(detector.name, &detector);
  }

  const Resolved& Resolve(const Detector& detector) {
    if (const auto known = resolved_.find(detector.name); known != resolved_.end()) return known->second;
    under_way_.insert(detector.name);
    Resolved made{.is_good = true, .depth = 1, .sources = {}};
    for (const RequiredEvent& event : detector.events) {
      // All problems of a detector are told.
      if (!Add(detector, event, &made)) made.is_good = false;
    }
    under_way_.erase(detector.name);
    return resolved_[detector.name] = std::move(made);
  }

 private:
  bool Fail(const Detector& detector, const WrittenText& at, const std::string& what) {
    const std::string subject = "Detector/" + detector.name;
    Problem problem{.place = at.place, .subject = subject, .object = subject, .what = at.path + ": " + what};
    const bool is_new = told_.insert(problem.ToString(detector.file)).second;
    if (is_new) problems_->push_back({.file = detector.file, .problem = std::move(problem)});
    return false;
  }

  // The sources of an event that a detector needs.
  bool Find(const Detector& detector, const WrittenText& name, std::vector<Source>* sources, int* depth) {
    if (const auto made = by_name_.find(name.text); made != by_name_.end()) {
      if (under_way_.contains(name.text))
        return Fail(detector, name, fmt::format("{}: detectors that need each other", Quoted(name.text)));
      if (under_way_.size() >= kMostChained)
        return Fail(detector, name, fmt::format("more than {} detectors build on each other", kMostChained));
      const Resolved& other = Resolve(*made->second);
      if (!other.is_good)
        return Fail(detector, name, fmt::format("{}: the detector of this event is refused", Quoted(name.text)));
      *sources = other.sources;
      *depth = other.depth + 1;
      return true;
    }
    const EventInfo* const event = FindEvent(name.text);
    if (event == nullptr) return Fail(detector, name, UnknownEvent(name.text));
    *sources = {DirectSource(*event)};
    *depth = 1;
    return true;
  }

  bool Add(const Detector& detector, const RequiredEvent& event, Resolved* made) {
    std::vector<Source> sources;
    int depth = 0;
    if (!Find(detector, event.name, &sources, &depth)) return false;
    made->depth = std::max(made->depth, depth);
    bool good = true;
    for (Source& source : sources) good = Narrow(detector, event, &source) && good;
    if (made->sources.size() + sources.size() > kMostSources)
      return Fail(detector, event.name, fmt::format("more than {} events of sensors", kMostSources));
    std::move(sources.begin(), sources.end(), std::back_inserter(made->sources));
    return good;
  }

  // Adds the detector's filters and conditions, and puts its output in the place of the event's data.
  bool Narrow(const Detector& detector, const RequiredEvent& event, Source* source) {
    const CelNames names = NamesOf(*source);
    bool good = AddFilters(detector, event, source);
    for (const WrittenText& text : detector.conditions) {
      const auto condition = CompileCondition(text.text, names);
      if (!condition.ok())
        good = Fail(detector, text, Message(condition.status()));
      else
        source->condition += " and " + *condition;
    }
    std::vector<std::pair<std::string, CelValue>> output;
    for (const OutputValue& value : detector.output) {
      auto compiled = CompileValue(value.expression.text, names);
      if (!compiled.ok())
        good = Fail(detector, value.expression, Message(compiled.status()));
      else
        output.emplace_back(value.name, *std::move(compiled));
    }
    if (source->condition.size() > kMostCondition)
      good = Fail(detector, event.name, fmt::format("its conditions are more than {} bytes", kMostCondition));
    source->data = std::move(output);
    return good;
  }

  bool AddFilters(const Detector& detector, const RequiredEvent& event, Source* source) {
    bool good = true;
    const std::vector<FilterData> data = FilterDataOf(*source);
    FilterSet filters;
    const auto add = [&](const WrittenText& text, const StatusOr<std::string>& condition) {
      if (!condition.ok())
        good = Fail(detector, text, Message(condition.status()));
      else
        filters.Add(text.text, *condition);
    };
    for (const WrittenText& text : event.data_filters) add(text, ConditionOfData(text.text, event.name.text, data));
    for (const WrittenText& text : event.scope_filters) add(text, ConditionOfScope(text.text));
    source->condition += filters.Condition();
    return good;
  }

  // For as long as the source's data are what they are.
  CelNames NamesOf(const Source& source) const {
    CelNames names{.data = [&source](std::string_view name) -> std::optional<CelValue> {
                     for (const auto& [known, value] : source.data) {
                       if (known == name) return value;
                     }
                     return std::nullopt;
                   },
                   .data_names = "",
                   .lists = &lists_};
    for (const auto& [name, value] : source.data) names.data_names += (names.data_names.empty() ? "" : ", ") + name;
    return names;
  }

  const Lists& lists_;
  std::vector<FileProblem>* const problems_;
  std::map<std::string, const Detector*, std::less<>> by_name_;
  std::map<std::string, Resolved, std::less<>> resolved_;
  std::set<std::string, std::less<>> under_way_;
  std::set<std::string> told_;
};

// "NAME | path=%proc.exepath process=...".
std::string OutputOf(const Detector& detector, const Source& source) {
  std::string text = detector.name + " |";
  for (const auto& [name, value] : source.data) {
    const bool is_field = value.kind == CelValue::Kind::kField;
    text += fmt::format(" {}={}{}", name, is_field ? "%" : "", value.text);
  }
  return fmt::format("{} {}", text, kCommonOutput);
}

std::vector<DraftRule> DraftsOf(const Detector& detector, const Resolved& resolved) {
  std::vector<std::string> tags = detector.tags;
  if (!detector.technique.empty()) tags.push_back(detector.technique);
  std::map<std::string, int> seen;
  std::vector<DraftRule> drafts;
  for (const Source& source : resolved.sources) {
    std::string name = detector.name;
    if (resolved.sources.size() > 1) {
      name += ": " + source.event;
      if (const int times = ++seen[source.event]; times > 1) name += fmt::format(" {}", times);
    }
    drafts.push_back({.name = std::move(name),
                      .description = detector.description.empty() ? detector.name : detector.description,
                      .condition = source.condition,
                      .output = OutputOf(detector, source),
                      .priority = PriorityOf(detector.severity),
                      .tags = tags,
                      .place = detector.place});
  }
  return drafts;
}

// All documents of the files.
struct Documents {
  std::vector<Detector> detectors;
  Lists lists;
};

class FilesReader {
 public:
  FilesReader(Documents* documents, LoadedDetectors* loaded) : documents_(documents), loaded_(loaded) {}

  void ReadFile(const DetectorFile& file) {
    const auto visit = [&](const YamlNode& root, int number) { ReadDocument(file, root, number); };
    if (const auto error = ParseYaml(file.text, visit))
      Tell(file.path, {.place = error->place, .subject = "", .object = "", .what = error->what});
  }

 private:
  void Tell(const std::string& file, Problem problem) {
    loaded_->problems.push_back({.file = file, .problem = std::move(problem)});
  }

  void ReadDocument(const DetectorFile& file, const YamlNode& root, int number) {
    const DetectorKind kind = DetectorKindOf(root);
    if (kind == DetectorKind::kNone) return;
    const Document document{.origin = file.path, .subject = fmt::format("document {}", number)};
    const Field field(document, root);
    const Status read = kind == DetectorKind::kDetector ? AddDetector(field) : AddList(field);
    if (!read.ok() && document.problems.empty()) field.Error(Message(read)).IgnoreError();
    for (const Problem& problem : document.problems) Tell(file.path, problem);
  }

  Status AddDetector(const Field& field) {
    SL_ASSIGN_OR_RETURN(Detector detector, ReadDetector(field));
    for (const Detector& other : documents_->detectors) {
      if (other.id == detector.id)
        return field.Error(fmt::format("id: {} is that of another detector", Quoted(other.id)));
      if (other.name == detector.name)
        return field.Error(fmt::format("produced_event.name: {} is that of another detector", Quoted(other.name)));
    }
    if (FindEvent(detector.name) != nullptr)
      return field.Error(fmt::format("produced_event.name: {} is an event of the sensors", Quoted(detector.name)));
    documents_->detectors.push_back(std::move(detector));
    return OkStatus();
  }

  Status AddList(const Field& field) {
    SL_ASSIGN_OR_RETURN(SharedList list, ReadList(field));
    if (!documents_->lists.emplace(list.name, std::move(list.values)).second)
      return field.Error(fmt::format("name: there are two lists {}", Quoted(list.name)));
    loaded_->lists++;
    return OkStatus();
  }

  Documents* const documents_;
  LoadedDetectors* const loaded_;
};

}  // namespace

bool IsDetectorText(std::string_view text) {
  bool found = false;
  const auto visit = [&](const YamlNode& root, int) { found = found || DetectorKindOf(root) != DetectorKind::kNone; };
  return !ParseYaml(text, visit) && found;
}

LoadedDetectors LoadDetectors(const std::vector<DetectorFile>& files) {
  LoadedDetectors loaded;
  Documents documents;
  FilesReader reader(&documents, &loaded);
  for (const DetectorFile& file : files) reader.ReadFile(file);
  Resolver resolver(documents.detectors, documents.lists, &loaded.problems);
  std::vector<std::pair<int, const Detector*>> order;
  for (const Detector& detector : documents.detectors) {
    const Resolved& resolved = resolver.Resolve(detector);
    if (resolved.is_good) order.emplace_back(-resolved.depth, &detector);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [depth, detector] : order) {
    auto rules = CompileDrafts(detector->file, DraftsOf(*detector, resolver.Resolve(*detector)));
    if (!rules.ok()) {
      const std::string subject = "Detector/" + detector->name;
      loaded.problems.push_back(
          {.file = detector->file,
           .problem = {
               .place = detector->place, .subject = subject, .object = subject, .what = Message(rules.status())}});
      continue;
    }
    loaded.detectors++;
    loaded.events.push_back({.name = detector->name, .priority = PriorityOf(detector->severity), .sources = {}});
    for (const Source& source : resolver.Resolve(*detector).sources)
      loaded.events.back().sources.push_back({.condition = source.condition, .data = FilterDataOf(source)});
    std::move(rules->begin(), rules->end(), std::back_inserter(loaded.rules));
  }
  return loaded;
}

}  // namespace sluice::policy::tracee
