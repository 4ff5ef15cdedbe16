#include "telemetry/event/process_text.h"

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include "base/printable.h"

namespace sluice::telemetry {
namespace {

template <typename Event>
std::string Subject(const char* what, const Event& event) {
  const std::string workload = event.workload().empty() ? "-" : event.namespace_() + "/" + event.workload();
  return fmt::format("{:<6} {} {} {}", what, workload, event.process().pid(), CommandText(event.process()));
}

}  // namespace

std::string ProgramText(const v1::Process& process) {
  const std::string script = process.script().empty() ? "" : PrintableWord(process.script()) + " by ";
  return script + (process.binary().empty() ? "[" + Printable(process.name()) + "]" : PrintableWord(process.binary()));
}

std::string CommandText(const v1::Process& process) {
  std::string text = ProgramText(process);
  for (const std::string& argument : process.arguments()) text += " " + PrintableWord(argument);
  return text;
}

std::string ExecText(const v1::Exec& exec) { return Subject("EXEC", exec); }

std::string ForkText(const v1::Fork& fork) { return Subject("FORK", fork); }

std::string ExitText(const v1::Exit& exit) {
  using google::protobuf::util::TimeUtil;
  std::string text = Subject("EXIT", exit);
  if (!exit.signal().empty()) text += ": " + exit.signal();
  if (exit.has_exit_code()) text += fmt::format(": exit code {}", exit.exit_code());
  if (exit.has_duration())
    text += fmt::format(", after {:.3f} s", TimeUtil::DurationToMilliseconds(exit.duration()) / 1e3);
  return text;
}

}  // namespace sluice::telemetry
