// `capture`: the last packets of a workload, and those that come, as pcapng.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <set>

#include "base/fd.h"
#include "base/output.h"
#include "base/printable.h"
#include "ctrl/replay/packet_filter.h"
#include "ctrl/sluice/client.h"
#include "ctrl/sluice/filter_options.h"
#include "ctrl/sluice/verb.h"
#include "telemetry/event/peer_pattern.h"
#include "telemetry/pcapng/capture_writer.h"

namespace sluice::client {
namespace {

constexpr double kDefaultAfter = 5;
constexpr double kLongest = 86400;

struct CaptureOptions {
  std::string workload;
  std::string file;
  bool follow = false;
  std::optional<double> before;
  std::optional<double> after;
  std::uint32_t snaplen = 0;
  std::string expression;
  std::shared_ptr<ObserveOptions> filters = std::make_shared<ObserveOptions>();
};

google::protobuf::Duration ToDuration(double seconds) {
  google::protobuf::Duration duration;
  duration.set_seconds(static_cast<std::int64_t>(seconds));
  duration.set_nanos(static_cast<std::int32_t>(std::fmod(seconds, 1.0) * 1e9));
  return duration;
}

// "web-0" is in the namespace of the configuration file, or "default".
StatusOr<policy::ObjectName> WorkloadOf(const std::string& text, const std::string& ns) {
  const bool has_namespace = text.find('/') != std::string::npos;
  auto workload = telemetry::ParseWorkload(has_namespace ? text : (ns.empty() ? "default" : ns) + "/" + text);
  if (!workload.ok()) return Annotate(workload.status(), "capture");
  return workload;
}

StatusOr<v1::CaptureRequest> ToRequest(const CaptureOptions& options, const std::string& ns) {
  v1::CaptureRequest request;
  if (options.workload.empty() && !options.follow)
    return InvalidError("capture: name a workload, or give -f for all whose packets are kept");
  if (!options.workload.empty()) {
    SL_ASSIGN_OR_RETURN(const policy::ObjectName workload, WorkloadOf(options.workload, ns));
    request.set_namespace_(workload.ns);
    request.set_name(workload.name);
  }
  if (options.before) *request.mutable_before() = ToDuration(*options.before);
  if (options.follow && !options.before) *request.mutable_before() = ToDuration(0);
  if (options.after || !options.follow) *request.mutable_after() = ToDuration(options.after.value_or(kDefaultAfter));
  request.set_snaplen(options.snaplen);
  SL_ASSIGN_OR_RETURN(const v1::ObserveRequest filters, ToRequest(*options.filters, std::chrono::system_clock::now()));
  *request.mutable_filter() = filters.filter();
  *request.mutable_except() = filters.except();
  return request;
}

StatusOr<Fd> OpenOutput(const CaptureOptions& options) {
  if (options.file.empty() || options.file == "-") {
    if (isatty(STDOUT_FILENO) != 0)
      return InvalidError(
          "capture: packets are not for a terminal: give -w FILE, or a program that reads them: "
          "sluice capture -f | wireshark -k -i -");
    return Fd();
  }
  Fd file(open(options.file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoError(errno, "create {}", options.file);
  return file;
}

Status WriteTo(const Fd& file, const std::string& path, std::string_view bytes) {
  if (!file.valid()) return WriteOut(bytes);
  while (!bytes.empty()) {
    const ssize_t written = write(file.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoError(errno, "write {}", path);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return OkStatus();
}

StatusOr<ExitCode> Capture(const AgentAddress& server, const std::string& ns, const CaptureOptions& options) {
  SL_ASSIGN_OR_RETURN(const v1::CaptureRequest request, ToRequest(options, ns));
  const auto filter = replay::PacketFilter::Compile(options.expression);
  if (!filter.ok()) return Annotate(filter.status(), "--filter");
  SL_ASSIGN_OR_RETURN(const Fd file, OpenOutput(options));
  EndOnInterrupt();
  std::string node;
  std::uint64_t lost = 0;
  std::optional<pcapng::CaptureWriter> writer;
  const auto begin = [&]() -> Status {
    if (writer) return OkStatus();
    writer.emplace(pcapng::CaptureWriter::Options{.application = "Sluice " SLUICE_VERSION, .node = node},
                   [&](std::string_view bytes) { return WriteTo(file, options.file, bytes); });
    return writer->Begin();
  };
  const Status ended = Client(server).Capture(
      request,
      [&](const v1::CaptureReply& reply) -> Status {
        SL_RETURN_IF_ERROR(begin());
        lost += reply.lost();
        for (const v1::CapturedFlow& flow : reply.flows()) SL_RETURN_IF_ERROR(writer->AddFlow(flow));
        for (const v1::CapturedPacket& packet : reply.packets())
          if (filter->Matches(packet.data(), packet.length())) SL_RETURN_IF_ERROR(writer->AddPacket(packet));
        return OkStatus();
      },
      [&](const StreamStart& start) { node = start.node; });
  SL_RETURN_IF_ERROR(ended);
  SL_RETURN_IF_ERROR(begin());
  SL_RETURN_IF_ERROR(writer->AddLoss(lost));
  Tell(fmt::format("sluice: {} packets{}{}", writer->packets(), options.file.empty() ? "" : " in " + options.file,
                   lost == 0 ? "" : fmt::format("; about {} more were overwritten before they were read", lost)));
  return ExitCode::kDone;
}

}  // namespace

void AddCapture(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<CaptureOptions>();
  CLI::App* verb = app.add_subcommand("capture", "write a workload's packets, with verdicts and processes, as pcapng");
  verb->add_option("workload", options->workload, "namespace/name; with -f, default: all whose packets are kept");
  verb->add_option("-w,--write", options->file, "the file; default: standard output");
  verb->add_flag("-f,--follow", options->follow, "new packets until Ctrl-C, as for `wireshark -k -i -`");
  verb->add_option("--before", options->before,
                   "seconds before now from which kept packets are written; default: all that are kept, with -f none")
      ->check(CLI::Range(0.0, kLongest));
  verb->add_option("--after", options->after, "seconds from now after which it ends; default: 5, with -f never")
      ->check(CLI::Range(0.0, kLongest));
  verb->add_option("--snaplen", options->snaplen,
                   "bytes of each packet, from now on at most 9216; default: what is kept anyway, else the headers")
      ->check(CLI::Range(1U, 9216U));
  verb->add_option("--filter", options->expression,
                   "only packets that this expression matches: \"tcp port 80\", see "
                   "pcap-filter(7)");
  AddFilterOptions(verb, options->filters);
  verb->footer(
      "Packets from before now are there if the agent was told to keep them. Other workloads' packets are "
      "kept from now on, as long as this runs. The flow filters are those of `observe`; --verdict is of the packet "
      "itself. See docs/capture.md.");
  verb->callback([&line, options] { line.run = [&line, options] { return Capture(line.server, line.ns, *options); }; });
}

}  // namespace sluice::client
