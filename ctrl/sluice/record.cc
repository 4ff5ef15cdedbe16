// `record`: writes what programs do, as the detection rules see it, for `rules test` and `replay --events`.
#include <absl/strings/str_split.h>
#include <absl/time/time.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/fd.h"
#include "base/output.h"
#include "base/printable.h"
#include "ctrl/sluice/client.h"
#include "ctrl/sluice/verb.h"

namespace sluice::client {
namespace {

struct RecordOptions {
  std::string file;      // empty: standard output
  std::string duration;  // empty: until Ctrl-C
  std::vector<std::string> types;
  std::string workload;
};

StatusOr<v1::RecordRequest> RequestOf(const RecordOptions& options) {
  v1::RecordRequest request;
  for (const std::string& several : options.types) {
    for (const auto type : absl::StrSplit(several, ',')) request.add_types(std::string(type));
  }
  if (options.workload.empty()) return request;
  const std::size_t slash = options.workload.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == options.workload.size())
    return InvalidError("--workload {}: expected NAMESPACE/NAME", options.workload);
  request.set_namespace_(options.workload.substr(0, slash));
  request.set_workload(options.workload.substr(slash + 1));
  return request;
}

StatusOr<std::optional<std::chrono::nanoseconds>> DurationOf(const std::string& text) {
  if (text.empty()) return std::nullopt;
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) || duration <= absl::ZeroDuration())
    return InvalidError("--duration {}: expected a time such as 30s or 5m", text);
  return absl::ToChronoNanoseconds(duration);
}

// A recording tells what every program does, and may hold secrets: only its owner may read it.
StatusOr<Fd> OpenOutput(const std::string& path) {
  if (path.empty()) return Fd();
  Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return ErrnoError(errno, "open {}", path);
  return fd;
}

Status WriteAll(int fd, const std::string& path, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoError(errno, "write {}", path);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return OkStatus();
}

StatusOr<ExitCode> Record(const AgentAddress& server, const RecordOptions& options) {
  SL_ASSIGN_OR_RETURN(const v1::RecordRequest request, RequestOf(options));
  SL_ASSIGN_OR_RETURN(const auto duration, DurationOf(options.duration));
  SL_ASSIGN_OR_RETURN(const Fd file, OpenOutput(options.file));
  EndOnInterrupt();
  std::uint64_t lost = 0;
  const auto consume = [&](const v1::EventRecords& batch) -> Status {
    lost += batch.lost();
    if (batch.lost() != 0) Tell(fmt::format("sluice: {} events are missing here: they came too fast", batch.lost()));
    std::string lines;
    for (const std::string& record : batch.records()) lines += PrintableJson(record) + "\n";
    return file.valid() ? WriteAll(file.get(), options.file, lines) : WriteOut(lines);
  };
  SL_RETURN_IF_ERROR(Client(server).Record(request, duration, consume, [] { Tell("sluice: recording"); }));
  if (lost != 0) Tell(fmt::format("sluice: {} events are missing in all", lost));
  return ExitCode::kDone;
}

}  // namespace

void AddRecord(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<RecordOptions>();
  CLI::App* verb = app.add_subcommand(
      "record", "write the system calls of programs as events, for `rules test` and `replay --events`");
  verb->add_option("-o,--output", options->file, "file; default: standard output");
  verb->add_option("--duration", options->duration, "end after this time: 30s, 5m; default: at Ctrl-C");
  verb->add_option("--type", options->types,
                   "only events of these types: openat,execve; default: all that there are sensors for");
  verb->add_option("--workload", options->workload, "only of processes of this workload: NAMESPACE/NAME");
  verb->callback([&line, options] { line.run = [&line, options] { return Record(line.server, *options); }; });
}

}  // namespace sluice::client
