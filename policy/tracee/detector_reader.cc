#include "policy/tracee/detector_reader.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include "policy/resource/resource_scalar.h"

namespace sluice::policy::tracee {
namespace {

constexpr std::size_t kMostItems = 4096;  // of each list
constexpr std::array<std::string_view, 7> kTypes = {"string", "int32", "int64", "uint32", "uint64", "bool", "bytes"};
constexpr std::array<std::string_view, 5> kSeverities = {"info", "low", "medium", "high", "critical"};
constexpr std::array<std::string_view, 2> kDependencies = {"required", "optional"};
constexpr std::string_view kContainers = "container";  // the enrichment that every event has

std::string LowerCase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

StatusOr<std::string> TextOf(const Field& field) { return field.String(); }

StatusOr<WrittenText> Written(const Field& field) {
  SL_ASSIGN_OR_RETURN(std::string text, field.String());
  return WrittenText{.text = std::move(text), .place = field.place(), .path = field.path()};
}

StatusOr<std::string> Needed(const Field& map, std::string_view key) {
  std::string text;
  SL_RETURN_IF_ERROR(map.Read(key, text, TextOf));
  return text.empty() ? StatusOr<std::string>(map.Missing(key)) : text;
}

template <typename Table>
Status CheckOneOf(const Field& field, const std::string& text, const Table& known) {
  if (std::find(known.begin(), known.end(), text) != known.end()) return OkStatus();
  std::string names;
  for (const std::string_view name : known) names += fmt::format("{}{}", names.empty() ? "" : ", ", name);
  return field.Error(fmt::format("{}: expected one of {}", Quoted(text), names));
}

// MAJOR.MINOR.PATCH. Versions are those of Tracee and its events: they are not compared with anything here.
Status CheckVersion(const Field& map, std::string_view key) {
  const auto field = map.Get(key);
  if (!field) return OkStatus();
  SL_ASSIGN_OR_RETURN(const std::string text, field->String());
  const bool is_version =
      std::count(text.begin(), text.end(), '.') == 2 && text.find_first_not_of("0123456789.") == std::string::npos;
  return is_version ? OkStatus() : field->Error(fmt::format("{}: expected a version, as in 1.0.0", Quoted(text)));
}

Status CheckDependency(const Field& map) {
  const auto field = map.Get("dependency");
  if (!field) return OkStatus();
  SL_ASSIGN_OR_RETURN(const std::string text, field->String());
  return CheckOneOf(*field, text, kDependencies);
}

StatusOr<std::set<std::string>> ReadFields(const Field& produced) {
  std::set<std::string> names;
  const auto list = produced.Get("fields");
  if (!list) return names;
  SL_RETURN_IF_ERROR(list->ForEachItem([&](const Field& item) -> Status {
    SL_RETURN_IF_ERROR(item.AllowOnly({"name", "type", "description", "optional"}));
    SL_ASSIGN_OR_RETURN(const std::string name, Needed(item, "name"));
    SL_ASSIGN_OR_RETURN(const std::string type, Needed(item, "type"));
    SL_RETURN_IF_ERROR(CheckOneOf(*item.Get("type"), type, kTypes));
    return names.insert(name).second ? OkStatus() : item.Error(fmt::format("{}: is there twice", Quoted(name)));
  }));
  return names;
}

StatusOr<RequiredEvent> ReadEvent(const Field& item) {
  SL_RETURN_IF_ERROR(
      item.AllowOnly({"name", "dependency", "min_version", "max_version", "data_filters", "scope_filters"}));
  SL_RETURN_IF_ERROR(CheckDependency(item));
  for (const char* const key : {"min_version", "max_version"}) SL_RETURN_IF_ERROR(CheckVersion(item, key));
  RequiredEvent event;
  SL_RETURN_IF_ERROR(item.Read("name", event.name, Written));
  if (event.name.text.empty()) return item.Missing("name");
  SL_RETURN_IF_ERROR(item.ReadItems("data_filters", event.data_filters, Written));
  SL_RETURN_IF_ERROR(item.ReadItems("scope_filters", event.scope_filters, Written));
  return event;
}

Status CheckEnrichments(const Field& requirements) {
  const auto list = requirements.Get("enrichments");
  if (!list) return OkStatus();
  return list->ForEachItem([](const Field& item) -> Status {
    SL_RETURN_IF_ERROR(item.AllowOnly({"name", "dependency", "config"}));
    SL_RETURN_IF_ERROR(CheckDependency(item));
    SL_ASSIGN_OR_RETURN(const std::string name, Needed(item, "name"));
    std::string dependency;
    SL_RETURN_IF_ERROR(item.Read("dependency", dependency, TextOf));
    if (name == kContainers || dependency == "optional") return OkStatus();
    return item.Error(fmt::format("{}: events do not have that here", Quoted(name)));
  });
}

Status CheckArchitectures(const Field& requirements) {
#if defined(__x86_64__)
  constexpr std::array<std::string_view, 2> kOwn = {"amd64", "x86_64"};
#else
  constexpr std::array<std::string_view, 2> kOwn = {"arm64", "aarch64"};
#endif
  std::vector<std::string> names;
  SL_RETURN_IF_ERROR(requirements.ReadItems("architectures", names, TextOf));
  const bool is_own = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return std::find(kOwn.begin(), kOwn.end(), name) != kOwn.end();
  });
  if (names.empty() || is_own) return OkStatus();
  return requirements.Get("architectures")->Error("the detector is not for this machine");
}

Status ReadRequirements(const Field& root, Detector* detector) {
  const auto requirements = root.Get("requirements");
  if (!requirements) return root.Missing("requirements");
  SL_RETURN_IF_ERROR(
      requirements->AllowOnly({"min_tracee_version", "max_tracee_version", "architectures", "events", "enrichments"}));
  for (const char* const key : {"min_tracee_version", "max_tracee_version"})
    SL_RETURN_IF_ERROR(CheckVersion(*requirements, key));
  SL_RETURN_IF_ERROR(CheckArchitectures(*requirements));
  SL_RETURN_IF_ERROR(CheckEnrichments(*requirements));
  SL_RETURN_IF_ERROR(requirements->ReadItems("events", detector->events, ReadEvent));
  if (detector->events.empty()) return requirements->Missing("events");
  std::set<std::string> names;
  for (const RequiredEvent& event : detector->events) {
    if (!names.insert(event.name.text).second)
      return requirements->Error(fmt::format("events: {} is there twice", Quoted(event.name.text)));
  }
  return OkStatus();
}

Status ReadThreat(const Field& root, Detector* detector) {
  const auto threat = root.Get("threat");
  if (!threat) return OkStatus();
  SL_RETURN_IF_ERROR(threat->AllowOnly({"name", "description", "severity", "mitre", "properties"}));
  SL_ASSIGN_OR_RETURN(const std::string severity, Needed(*threat, "severity"));
  detector->severity = LowerCase(severity);
  SL_RETURN_IF_ERROR(CheckOneOf(*threat->Get("severity"), detector->severity, kSeverities));
  const auto mitre = threat->Get("mitre");
  if (!mitre) return OkStatus();
  SL_RETURN_IF_ERROR(mitre->AllowOnly({"technique", "tactic"}));
  const auto technique = mitre->Get("technique");
  if (!technique) return OkStatus();
  SL_RETURN_IF_ERROR(technique->AllowOnly({"id", "name"}));
  return technique->Read("id", detector->technique, TextOf);
}

Status ReadOutput(const Field& root, const std::set<std::string>& declared, Detector* detector) {
  const auto output = root.Get("output");
  if (!output) return OkStatus();
  SL_RETURN_IF_ERROR(output->AllowOnly({"fields"}));
  const auto list = output->Get("fields");
  if (!list) return OkStatus();
  std::set<std::string> names;
  return list->ForEachItem([&](const Field& item) -> Status {
    SL_RETURN_IF_ERROR(item.AllowOnly({"name", "expression", "optional"}));
    OutputValue value;
    SL_ASSIGN_OR_RETURN(value.name, Needed(item, "name"));
    SL_RETURN_IF_ERROR(item.Read("expression", value.expression, Written));
    if (value.expression.text.empty()) return item.Missing("expression");
    if (!names.insert(value.name).second) return item.Error(fmt::format("{}: is there twice", Quoted(value.name)));
    if (!declared.empty() && !declared.contains(value.name))
      return item.Error(fmt::format("{}: is not among produced_event.fields", Quoted(value.name)));
    detector->output.push_back(std::move(value));
    return OkStatus();
  });
}

Status CheckAutoPopulate(const Field& root) {
  const auto map = root.Get("auto_populate");
  return map ? map->AllowOnly({"threat", "detected_from", "process_ancestry"}) : OkStatus();
}

Status CheckSizes(const Field& root, const Detector& detector) {
  std::size_t items = detector.events.size() + detector.conditions.size() + detector.output.size();
  for (const RequiredEvent& event : detector.events) items += event.data_filters.size() + event.scope_filters.size();
  return items <= kMostItems ? OkStatus()
                             : root.Error(fmt::format("more than {} events, filters and conditions", kMostItems));
}

}  // namespace

DetectorKind DetectorKindOf(const YamlNode& root) {
  const YamlNode* const type = root.type == YamlNode::Type::kMap ? root.Find("type") : nullptr;
  const std::string text = type == nullptr ? "" : LowerCase(type->scalar);
  if (text == "detector") return DetectorKind::kDetector;
  return text == "string_list" ? DetectorKind::kList : DetectorKind::kNone;
}

StatusOr<Detector> ReadDetector(const Field& root) {
  SL_RETURN_IF_ERROR(root.AllowOnly(
      {"type", "id", "produced_event", "requirements", "threat", "auto_populate", "conditions", "output"}));
  Detector detector{.file = std::string(root.document().origin), .place = root.place()};
  SL_ASSIGN_OR_RETURN(detector.id, Needed(root, "id"));
  const auto produced = root.Get("produced_event");
  if (!produced) return root.Missing("produced_event");
  SL_RETURN_IF_ERROR(produced->AllowOnly({"name", "version", "description", "tags", "fields"}));
  SL_ASSIGN_OR_RETURN(detector.name, Needed(*produced, "name"));
  SL_RETURN_IF_ERROR(Needed(*produced, "version").status());
  SL_RETURN_IF_ERROR(CheckVersion(*produced, "version"));
  SL_RETURN_IF_ERROR(produced->Read("description", detector.description, TextOf));
  SL_RETURN_IF_ERROR(produced->ReadItems("tags", detector.tags, TextOf));
  SL_ASSIGN_OR_RETURN(const std::set<std::string> declared, ReadFields(*produced));
  SL_RETURN_IF_ERROR(ReadRequirements(root, &detector));
  SL_RETURN_IF_ERROR(ReadThreat(root, &detector));
  SL_RETURN_IF_ERROR(CheckAutoPopulate(root));
  SL_RETURN_IF_ERROR(root.ReadItems("conditions", detector.conditions, Written));
  SL_RETURN_IF_ERROR(ReadOutput(root, declared, &detector));
  SL_RETURN_IF_ERROR(CheckSizes(root, detector));
  return detector;
}

StatusOr<SharedList> ReadList(const Field& root) {
  SL_RETURN_IF_ERROR(root.AllowOnly({"type", "name", "values"}));
  SharedList list;
  SL_ASSIGN_OR_RETURN(list.name, Needed(root, "name"));
  const bool is_name = list.name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == std::string::npos &&
                       std::isdigit(static_cast<unsigned char>(list.name.front())) == 0;
  if (!is_name) return root.Get("name")->Error(fmt::format("{}: expected capitals with _ between", Quoted(list.name)));
  SL_RETURN_IF_ERROR(root.ReadItems("values", list.values, TextOf));
  if (list.values.empty()) return root.Missing("values");
  if (list.values.size() > kMostItems) return root.Error(fmt::format("values: more than {}", kMostItems));
  return list;
}

}  // namespace sluice::policy::tracee
