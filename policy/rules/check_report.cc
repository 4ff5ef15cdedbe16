#include "policy/rules/check_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/printable.h"

namespace sluice::policy::rules {
namespace {

// Inside a file's message, the place is told step by step.
std::string MessageText(const LoadMessage& message) {
  std::string text;
  for (const Location& location : message.context.locations) {
    const std::string name = location.name.empty() ? "" : fmt::format(" '{}'", location.name);
    text += fmt::format("{}{}{}: ({}:{}:{})\n", text.empty() ? "In " : "    ", location.type, Printable(name),
                        Printable(message.context.file), location.place.line, location.place.column);
  }
  text += "------\n" + (message.snippet.empty() ? "" : message.snippet + "\n") + "------\n";
  return text + fmt::format("{} ({}): {}\n", message.code, message.description, message.what);
}

nlohmann::json MessageJson(const LoadMessage& message, const CheckedFile& file) {
  nlohmann::json locations = nlohmann::json::array();
  for (const Location& location : message.context.locations) {
    const bool here = message.context.file == file.result.file;
    locations.push_back({{"item_type", location.type},
                         {"item_name", location.name},
                         {"position",
                          {{"name", message.context.file},
                           {"line", location.place.line},
                           {"column", location.place.column},
                           {"offset", here ? OffsetOf(file.text, location.place) : 0}}}});
  }
  return {{"code", message.code},
          {"codedesc", message.description},
          {"message", message.what},
          {"context", {{"locations", locations}, {"snippet", message.snippet}}}};
}

nlohmann::json MessagesJson(const std::vector<LoadMessage>& messages, const CheckedFile& file) {
  nlohmann::json list = nlohmann::json::array();
  for (const LoadMessage& message : messages) list.push_back(MessageJson(message, file));
  return list;
}

}  // namespace

std::string ReportText(const CheckedFile& file) {
  const std::string name = Printable(file.result.file);
  if (file.result.ok()) return name + (file.result.warnings.empty() ? ": Ok\n" : ": Ok, with warnings\n");
  std::string text = fmt::format("{}: Invalid\n{} Errors:\n", name, file.result.errors.size());
  for (const LoadMessage& error : file.result.errors) text += MessageText(error);
  return text;
}

std::string WarningsText(const CheckedFile& file) {
  if (file.result.warnings.empty()) return "";
  std::string text = fmt::format("{}: {} Warnings:\n", Printable(file.result.file), file.result.warnings.size());
  for (const LoadMessage& warning : file.result.warnings) text += MessageText(warning);
  return text;
}

std::string ReportJson(const std::vector<CheckedFile>& files) {
  nlohmann::json results = nlohmann::json::array();
  for (const CheckedFile& file : files) {
    results.push_back({{"name", file.result.file},
                       {"successful", file.result.ok()},
                       {"errors", MessagesJson(file.result.errors, file)},
                       {"warnings", MessagesJson(file.result.warnings, file)}});
  }
  const nlohmann::json report = {{"falco_load_results", results}};
  return report.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace sluice::policy::rules
