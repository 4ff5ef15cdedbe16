// sluice-traffic generate|sink|both --port DEVICE... : a traffic generator and sink on DPDK.
// Exit codes: 0 done, 1 failed, 2 usage.
#include <net/if.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>
#include <nlohmann/json.hpp>

#include "perf/cpu.h"
#include "perf/dpdk/load_options.h"
#include "perf/dpdk/sink.h"
#include "perf/dpdk/worker.h"

namespace sluice::perf {
namespace {

struct Options {
  EalOptions eal;
  LoadOptions load;
  std::uint64_t packets = 0;
  double seconds = 0;
  int burst = 32;
  bool count_flows = false;
  bool json = false;
};

struct Outcome {
  std::optional<Tally> sent;
  std::optional<Arrivals> received;
  std::uint64_t dropped = 0;
};

std::atomic<bool> stop{false};  // set by SIGINT or SIGTERM

void AddCommonOptions(int ports, Options* options, CLI::App* app) {
  app->add_option("--port", options->eal.devices,
                  "net_af_packet0,iface=NAME or net_af_xdp0,iface=NAME (number each virtual one), or a PCI address")
      ->required()
      ->expected(ports);
  app->add_option("--count", options->packets, "packets; 0: no limit");
  app->add_option("--seconds", options->seconds, "0: no limit")->check(CLI::NonNegativeNumber);
  app->add_option("--cpus", options->eal.cpus,
                  "CPU of the generator, CPU of the sink; default: chosen from the allowed CPUs")
      ->delimiter(',');
  app->add_option("--memory", options->eal.megabytes, "MB for DPDK")->check(CLI::Range(64, 1 << 20));
  app->add_flag("--huge", options->eal.huge_pages, "use huge pages");
  app->add_flag("--json", options->json, "print the result as JSON");
}

void AddLoadOptions(bool to_known_mac, Options* options, CLI::App* app) {
  LoadOptions& load = options->load;
  app->add_option("--source", load.ends.source, "IPv4 or IPv6 address");
  app->add_option("--destination", load.ends.destination, "address of the same family");
  app->add_option("--source-mac", load.ends.source_mac, "default: the port's");
  app->add_option("--destination-mac", load.ends.destination_mac,
                  to_known_mac ? "default: the sink's" : "MAC of the next hop");
  app->add_option("--flows", load.flows, "number of flows; each has its own pair of ports");
  app->add_option("--stride", load.stride, "not 0: each flow has its own source address instead, with this distance");
  app->add_option("--first-flow", load.first_flow, "the first flow, or the seed with --random");
  app->add_flag("--random", load.random, "a random flow for each packet; else in turn");
  app->add_flag("--answer", load.answer, "send from the service's ports");
  app->add_option("--load", load.raw,
                  "replaces the options above: a struct perf_load (perf/bpf/load.h), in hexadecimal");
  app->add_option("--burst", options->burst, "packets passed to the port at once")->check(CLI::Range(1, kLargestBurst));
}

void AddSinkOptions(Options* options, CLI::App* app) {
  app->add_flag("--count-flows", options->count_flows, "count different received flows; slower");
}

// Reports a missing interface in one sentence; DPDK's own log about it is long.
Status CheckInterfaces(const std::vector<std::string>& devices) {
  for (const std::string& device : devices) {
    constexpr std::string_view kKey = ",iface=";
    const std::size_t at = device.find(kKey);
    if (at == std::string::npos) continue;
    const std::size_t begin = at + kKey.size();
    const std::string name = device.substr(begin, device.find(',', begin) - begin);
    if (if_nametoindex(name.c_str()) == 0)
      return MakeError(absl::StatusCode::kNotFound, "port {}: there is no interface {} in this network namespace",
                       device, name);
  }
  return OkStatus();
}

Status ChooseCpus(std::size_t threads, std::vector<int>* cpus) {
  if (cpus->empty()) {
    SL_ASSIGN_OR_RETURN(const int sink, MeasuredCpu());
    SL_ASSIGN_OR_RETURN(const int generator, OtherCpu());
    *cpus = {generator, sink};
    cpus->resize(threads);
  }
  if (cpus->size() == threads) return OkStatus();
  return InvalidError("--cpus names {} CPUs, but needs {}", cpus->size(), threads);
}

Amount AmountOf(const Options& options) {
  return {.packets = options.packets,
          .duration = std::chrono::nanoseconds(static_cast<std::int64_t>(options.seconds * 1e9)),
          .stop = &stop};
}

StatusOr<perf_load> LoadBetween(const Port& from, const Port* to, LoadOptions options) {
  if (options.ends.source_mac.empty()) options.ends.source_mac = from.mac();
  if (options.ends.destination_mac.empty() && to != nullptr) options.ends.destination_mac = to->mac();
  return LoadOf(options);
}

void SayReady(const Port& port) { std::cerr << "sluice-traffic: receives at " << port.device() << std::endl; }

StatusOr<Outcome> GenerateOnly(const Options& options, const Port& port) {
  SL_ASSIGN_OR_RETURN(const perf_load load, LoadBetween(port, nullptr, options.load));
  Outcome outcome;
  SL_ASSIGN_OR_RETURN(outcome.sent, Generate(port, load, AmountOf(options), options.burst));
  outcome.dropped = port.Counters().dropped;
  return outcome;
}

StatusOr<Outcome> SinkOnly(const Options& options, const Port& port) {
  SayReady(port);
  Outcome outcome;
  outcome.received = Receive(port, {.amount = AmountOf(options), .count_flows = options.count_flows});
  outcome.dropped = port.Counters().dropped;
  return outcome;
}

StatusOr<Outcome> Both(const Options& options, const Port& from, const Port& to) {
  SL_ASSIGN_OR_RETURN(const perf_load load, LoadBetween(from, &to, options.load));
  Outcome outcome;
  std::atomic<std::uint64_t> sent{kStillSending};
  {
    const Worker sink([&] {
      outcome.received = Receive(to, {.amount = {.stop = &stop}, .sent = &sent, .count_flows = options.count_flows});
    });
    StatusOr<Tally> tally = Generate(from, load, AmountOf(options), options.burst);
    sent.store(tally.ok() ? tally->packets : 0, std::memory_order_release);
    SL_ASSIGN_OR_RETURN(outcome.sent, std::move(tally));
  }
  outcome.dropped = from.Counters().dropped + to.Counters().dropped;
  return outcome;
}

StatusOr<Outcome> RunCommand(const std::string& command, Options options) {
  SL_RETURN_IF_ERROR(CheckInterfaces(options.eal.devices));
  SL_RETURN_IF_ERROR(ChooseCpus(command == "both" ? 2 : 1, &options.eal.cpus));
  SL_ASSIGN_OR_RETURN(const auto eal, Eal::Start(options.eal));
  std::vector<std::unique_ptr<Port>> ports;
  for (const std::string& device : options.eal.devices) {
    SL_ASSIGN_OR_RETURN(auto port, Port::Open(*eal, device));
    ports.push_back(std::move(port));
  }
  if (command == "generate") return GenerateOnly(options, *ports[0]);
  if (command == "sink") return SinkOnly(options, *ports[0]);
  return Both(options, *ports[0], *ports[1]);
}

double SecondsOf(const Tally& tally) { return std::chrono::duration<double>(tally.duration).count(); }

double RateOf(const Tally& tally) {
  return tally.duration.count() > 0 ? static_cast<double>(tally.packets) / SecondsOf(tally) : 0;
}

nlohmann::json ToJson(const Tally& tally) {
  return {{"packets", tally.packets},
          {"bytes", tally.bytes},
          {"seconds", SecondsOf(tally)},
          {"packetsPerSecond", RateOf(tally)}};
}

void Print(const Options& options, const Outcome& outcome) {
  if (options.json) {
    nlohmann::json json = {{"dropped", outcome.dropped}};
    if (outcome.sent) json["sent"] = ToJson(*outcome.sent);
    if (outcome.received) {
      json["received"] = ToJson(outcome.received->udp);
      json["received"]["others"] = outcome.received->others;
      if (options.count_flows) json["received"]["flows"] = outcome.received->flows;
    }
    std::cout << json.dump(2) << '\n';
    return;
  }
  const auto print = [](const char* what, const Tally& tally) {
    std::cout << fmt::format("{:<8} {} packets, {} bytes in {:.3f} s: {:.0f} packets a second\n", what, tally.packets,
                             tally.bytes, SecondsOf(tally), RateOf(tally));
  };
  if (outcome.sent) print("sent", *outcome.sent);
  if (outcome.received) {
    print("received", outcome.received->udp);
    if (options.count_flows) std::cout << fmt::format("{:<8} {}\n", "flows", outcome.received->flows);
    if (outcome.received->others > 0) std::cout << fmt::format("{:<8} {}\n", "no UDP", outcome.received->others);
  }
  std::cout << fmt::format("{:<8} {}\n", "dropped", outcome.dropped);
}

int Run(int argc, char** argv) {
  Options options;
  CLI::App app{"sluice-traffic: sends and receives flows of UDP packets by DPDK"};
  app.option_defaults()->always_capture_default();
  app.require_subcommand(1);
  CLI::App* const generate = app.add_subcommand("generate", "send until --count, --seconds or SIGINT");
  CLI::App* const sink = app.add_subcommand("sink", "receive until --count, --seconds or SIGINT");
  CLI::App* const both = app.add_subcommand("both", "send on the first port, receive on the second");
  AddCommonOptions(1, &options, generate);
  AddCommonOptions(1, &options, sink);
  AddCommonOptions(2, &options, both);
  AddLoadOptions(false, &options, generate);
  AddLoadOptions(true, &options, both);
  AddSinkOptions(&options, sink);
  AddSinkOptions(&options, both);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, std::cout, std::cerr) == 0 ? 0 : 2;
  }
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { stop = true; });
  const StatusOr<Outcome> outcome = RunCommand(app.get_subcommands().front()->get_name(), options);
  if (!outcome.ok()) {
    std::cerr << "sluice-traffic: " << Message(outcome.status()) << '\n';
    return 1;
  }
  Print(options, *outcome);
  return 0;
}

}  // namespace
}  // namespace sluice::perf

int main(int argc, char** argv) { return sluice::perf::Run(argc, argv); }
