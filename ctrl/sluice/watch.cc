#include "ctrl/sluice/watch.h"

#include <chrono>
#include <sstream>
#include <thread>

namespace sluice::client {
namespace {

constexpr std::chrono::milliseconds kInterval{1000};

std::string CallOf(const v1::Object& object) {
  if (object.has_identity()) return fmt::format("identity {}", object.identity().id());
  if (object.has_ruleset()) return fmt::format("ruleset {} {}", object.ruleset().direction(), object.ruleset().id());
  const v1::ResourceRef& ref = object.resource().ref();
  return fmt::format("{} {}{}{}", ref.kind(), ref.namespace_(), ref.namespace_().empty() ? "" : "/", ref.name()) +
         (ref.api_version().starts_with("sluice.dev") ? " of sluice.dev" : "");
}

}  // namespace

StatusOr<std::string> ObjectWatch::Next(std::vector<v1::Object> objects) {
  std::map<std::string, std::string> now;
  std::vector<bool> differs;
  for (const v1::Object& object : objects) {
    const std::string name = CallOf(object);
    const auto before = last_.find(name);
    std::string& seen = now[name] = object.ShortDebugString();  // maps in order, unlike serialized
    differs.push_back(before == last_.end() || before->second != seen);
  }
  for (const auto& [name, seen] : last_) {
    if (!now.contains(name)) Tell(name + ": it has been removed");
  }
  last_ = std::move(now);
  std::string text;
  if (form_.IsTable()) {
    SL_ASSIGN_OR_RETURN(const Table table, form_.ToTable(selection_, objects));
    std::istringstream lines(table.ToString());
    std::string line;
    std::getline(lines, line);
    if (!objects.empty() && !std::exchange(began_, true)) text += line + "\n";
    for (std::size_t i = 0; std::getline(lines, line); ++i) {
      if (i < differs.size() && differs[i]) text += line + "\n";
    }
    return text;
  }
  for (std::size_t i = 0; i < objects.size(); ++i) {
    if (!differs[i]) continue;
    SL_ASSIGN_OR_RETURN(const std::string one, form_.ObjectText(objects[i], !std::exchange(began_, true)));
    text += one;
  }
  return text;
}

StatusOr<ExitCode> WatchUntilInterrupted(const std::function<Status()>& look) {
  EndOnInterrupt();
  SL_RETURN_IF_ERROR(look());
  bool answered = true;
  while (true) {
    std::this_thread::sleep_for(kInterval);
    const Status looked = look();
    if (!looked.ok() && !absl::IsUnavailable(looked)) return looked;
    if (answered && !looked.ok()) Tell("sluice: " + Message(looked));
    answered = looked.ok();
  }
}

}  // namespace sluice::client
