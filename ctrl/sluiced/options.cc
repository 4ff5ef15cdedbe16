#include "ctrl/sluiced/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <fstream>
#include <iostream>

#include "ctrl/api/listener.h"
#include "ctrl/sluiced/sandbox_source.h"
#include "policy/resource/resource_syntax.h"
#include "telemetry/capture/packet_capture.h"

namespace sluice {
namespace {

// FILE:LINE of the configuration file's assignment that `problem` is about. Empty: there is none, or the option was
// typed too, which wins.
std::string PlaceInFile(const std::string& file, const std::string& problem, const std::vector<std::string>& typed) {
  std::ifstream in(file);
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const std::size_t begin = line.find_first_not_of(" \t");
    const std::size_t end = line.find_first_of(" \t=", begin);
    if (begin == std::string::npos || end == std::string::npos || line[begin] == '#') continue;
    const std::string name = line.substr(begin, end - begin);
    const bool is_typed = std::any_of(typed.begin(), typed.end(), [&](const std::string& argument) {
      return argument == "--" + name || argument.starts_with("--" + name + "=");
    });
    if (!is_typed && problem.find(name) != std::string::npos) return file + ":" + std::to_string(number);
  }
  return "";
}

// Empty: it is a prefix.
std::string PrefixProblem(const std::string& text) {
  const auto prefix = policy::Prefix::Parse(text);
  return prefix.ok() ? "" : Message(prefix.status());
}

// Empty: it is KEY=VALUE.
std::string LabelProblem(const std::string& text) {
  const std::size_t equals = text.find('=');
  return equals != std::string::npos && equals != 0 ? "" : "expected KEY=VALUE, not " + text;
}

// Empty: it is a valid pattern.
std::string PatternProblem(const std::string& text) {
  const auto redaction = telemetry::Redaction::Make({.patterns = {text}, .built_in = false});
  return redaction.ok() ? "" : Message(redaction.status());
}

// Empty: it is a pattern for workloads.
std::string CaptureProblem(const std::string& text) {
  const auto pattern = telemetry::WorkloadPattern::Parse(text);
  return pattern.ok() ? "" : Message(pattern.status());
}

// Empty: it is a valid size of a ring buffer.
std::string RingProblem(const std::string& text) {
  const std::uint64_t bytes = std::strtoull(text.c_str(), nullptr, 10);
  const bool ok = text.find_first_not_of("0123456789") == std::string::npos && std::has_single_bit(bytes) &&
                  bytes >= 65536 && bytes <= 1U << 30;
  return ok ? "" : "must be a power of two from 65536 to 1073741824, not " + text;
}

}  // namespace

int ParseOptions(int argc, char** argv, AgentOptions* options) {
  CLI::App app{"sluiced: enforces network policy per workload on this node"};
  app.set_config("--config", "", "file with the same options, one `name = value` a line (TOML)");
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.option_defaults()->always_capture_default();
  app.add_option("--state-dir", options->state_dir, "directory for the applied resources");
  app.add_option("--bpf-root", options->bpf_root, "directory where maps and links are pinned");
  app.add_option("--api", options->api.address, "gRPC address: unix:///PATH, or IP:PORT with the three TLS files");
  app.add_option("--api-change-group", options->api.change_group,
                 "unix socket: members of this group may change, as root may; others are refused");
  app.add_option("--api-read-group", options->api.read_group, "unix socket: members of this group may read");
  app.add_option("--api-tls-cert", options->api.tls.certificate,
                 "TCP: PEM file of the agent's certificate; the three files are read again when they change");
  app.add_option("--api-tls-key", options->api.tls.key, "TCP: PEM file of its key");
  app.add_option("--api-tls-ca", options->api.tls.ca, "TCP: PEM file of the CAs of the clients' certificates");
  app.add_option("--api-tls-change-name", options->api.tls_change_names,
                 "TCP: clients whose certificate has this name (common or alternative) may change, the others may "
                 "read; may be given several times; default: all may change");
  app.add_option_function<std::string>(
      "--tetragon-api", [options](const std::string& address) { options->tetragon_api = address; },
      "address of Tetragon's gRPC service, for its client tetra: unix:///PATH, or IP:PORT with TLS; rights and TLS "
      "files are those of --api; empty: not served. Default: tetragon.sock beside the socket of --api");
  app.add_option("--hubble-api", options->hubble.addresses,
                 "gRPC address for Hubble's clients: unix:///PATH, or IP:PORT with the three TLS files; may be given "
                 "several times; empty: not served. Default: hubble.sock beside the socket of --api");
  app.add_option("--hubble-tls-cert", options->hubble.tls.certificate, "as --api-tls-cert, for --hubble-api by TCP");
  app.add_option("--hubble-tls-key", options->hubble.tls.key, "as --api-tls-key");
  app.add_option("--hubble-tls-ca", options->hubble.tls.ca, "as --api-tls-ca");
  app.add_option("--hubble-flows", options->hubble.flows,
                 "past flow events that Hubble's clients can read, and at most 32 MiB of them")
      ->check(CLI::Range(1U, 65535U));
  app.add_option("--hubble-advertise", options->hubble.advertise,
                 "address of this node's --hubble-api for a relay; default: the first by TCP, else the first");
  std::vector<std::string> hubble_peers;
  app.add_option("--hubble-peer", hubble_peers,
                 "NAME=ADDRESS of another node, for a relay that asks this one; may be given several times")
      ->check(
          [](const std::string& text) {
            const auto peer = hubble::ParsePeer(text);
            return peer.ok() ? std::string() : Message(peer.status());
          },
          "NAME=ADDRESS");
  app.add_option("--cluster-name", options->hubble.cluster, "name of the cluster, for Hubble's clients")
      ->check([](const std::string& text) { return policy::CheckDnsLabel(text); }, "NAME");
  app.add_option(
      "--kubearmor-api", options->kubearmor_api.address,
      "gRPC address of KubeArmor's log service, for its clients: unix:///PATH, or IP:PORT with the three TLS "
      "files; empty: not served");
  app.add_option("--kubearmor-api-read-group", options->kubearmor_api.read_group,
                 "unix socket: members of this group may follow it, as root may");
  app.add_option("--kubearmor-api-tls-cert", options->kubearmor_api.tls.certificate,
                 "TCP: PEM file of its certificate; the three files are read again when they change");
  app.add_option("--kubearmor-api-tls-key", options->kubearmor_api.tls.key, "TCP: PEM file of its key");
  app.add_option("--kubearmor-api-tls-ca", options->kubearmor_api.tls.ca,
                 "TCP: PEM file of the CAs of the clients' certificates");
  app.add_option("--relay-api", options->relay_api.address,
                 "address of the API for sluice-relay: IP:PORT with the three TLS files; only for reading; empty: not "
                 "served");
  app.add_option("--relay-api-tls-cert", options->relay_api.tls.certificate, "as --api-tls-cert");
  app.add_option("--relay-api-tls-key", options->relay_api.tls.key, "as --api-tls-key");
  app.add_option("--relay-api-tls-ca", options->relay_api.tls.ca,
                 "PEM file of the CAs of the relays' certificates: each of these may read everything");
  app.add_option("--web", options->web.address,
                 "address of the web page: IP:PORT; other than loopback only with TLS; empty: not served");
  app.add_option("--web-read-token", options->web.access.read_token,
                 "file with the token of those who may look at the page");
  app.add_option("--web-quarantine-token", options->web.access.quarantine_token,
                 "file with the token of those who may also put workloads into quarantine");
  app.add_option("--web-tls-cert", options->web.tls.certificate,
                 "PEM file of the page's certificate; these files are read again when they change");
  app.add_option("--web-tls-key", options->web.tls.key, "PEM file of its key");
  app.add_option("--web-tls-ca", options->web.tls.ca,
                 "PEM file of the CAs of clients' certificates; one of them is as good as the read token");
  app.add_option("--web-tls-quarantine-name", options->web.access.quarantine_names,
                 "clients whose certificate has this name (common or alternative) may quarantine; may be given several "
                 "times");
  app.add_option("--metrics", options->metrics, "HTTP address of /metrics, /healthz and /readyz");
  app.add_option("--uplink", options->uplinks, "network card to attach XDP to; may be given several times");
  app.add_option("--resources", options->resources, "directory of resource files; SIGHUP reads it again")
      ->check(CLI::ExistingDirectory);
  app.add_option("--kube", options->kube,
                 "Kubernetes as a source of pods, namespaces and policies: off, in-cluster, or a kubeconfig file");
  app.add_option("--cri", options->cri,
                 "with --kube: where the pods of this node are listed: unix:///PATH of the container runtime; proc (by "
                 "their cgroups and processes); auto (the first known runtime that answers, and by their cgroups and "
                 "processes until one does)")
      ->check(SandboxSource::ProblemOf, "SOURCE");
  app.add_option("--cni-socket", options->cni_socket,
                 "with --kube: socket at which the CNI plugin is answered; empty: it is not");
  app.add_option("--services", options->services,
                 "with --kube: where Services are translated to their backends: pods (at the sockets of the pods), or "
                 "off (at their veths alone)")
      ->check(CLI::IsMember({"pods", "off"}));
  std::vector<std::string> quarantine_allow;
  app.add_option("--quarantine-allow", quarantine_allow,
                 "peers that may still talk with workloads in quarantine, as far as policy lets them; may be given "
                 "several times")
      ->check(PrefixProblem, "CIDR");
  app.add_option("--node-name", options->node_name, "name of this node in events");
  std::vector<std::string> node_labels;
  app.add_option("--node-label", node_labels,
                 "a label of this node, KEY=VALUE, for the nodeSelector of hook policies; may be given several times; "
                 "with --kube it is added to those of the API server")
      ->check(LabelProblem, "KEY=VALUE");
  app.add_flag("--uninstall", options->uninstall, "detach and unpin everything, remove the state, and end");
  app.add_flag("--debug", options->debug, "log more");
  app.add_flag("--redirect,!--no-redirect", options->redirect,
               "redirect packets to local pods past the host's stack, for flows that the stack was seen to pass "
               "unchanged");
  app.add_flag("--redirect-always", options->redirect_always,
               "redirect from the first packet on: past the host's firewall, connection tracking and source "
               "translation");
  app.add_option("--redirect-recheck", options->redirect_recheck,
                 "seconds until a packet of a redirected flow passes the host's stack again")
      ->check(CLI::Range(1U, 20U));
  app.add_flag("--keep-established", options->keep_established, "a policy change does not end established flows");
  app.add_option("--process-sensors", options->process_sensors,
                 "how starts and ends of programs are observed: auto, tracepoint, kprobe, or off")
      ->check(CLI::IsMember({"auto", "tracepoint", "kprobe", "off"}));
  app.add_option("--process-ring-bytes", options->process_ring_bytes,
                 "size of the buffer for process events, a power of two; the agent's memory grows by twice as much")
      ->check(RingProblem, "BYTES");
  app.add_option("--redact", options->redaction.patterns,
                 "hide what this pattern (RE2) matches in command lines, or only what its groups match; may be given "
                 "several times")
      ->check(PatternProblem, "RE2");
  app.add_flag("--redact-common,!--no-redact-common", options->redaction.built_in,
               "hide common secrets too: passwords, tokens and keys in options and URLs");
  app.add_option("--export-file", options->export_file, "write events to this file, one JSON object a line");
  app.add_option(
         "--export-format", options->export_format,
         "json; tetragon-json: processes and hooks only, as Tetragon writes them; kubearmor-json: alerts only, as "
         "KubeArmor's clients write them; or falco-json: detections only, as Falco writes them")
      ->check(CLI::IsMember({"json", "tetragon-json", "kubearmor-json", "falco-json"}));
  app.add_option("--export-max-bytes", options->export_max_bytes,
                 "size of one export file; then it is renamed to FILE.1")
      ->check(CLI::PositiveNumber);
  app.add_option("--export-max-files", options->export_max_files,
                 "export files that are kept, including the current one")
      ->check(CLI::PositiveNumber);
  app.add_option("--export-rate", options->export_rate, "events a second that are exported; 0: all");
  app.add_option("--export-span", options->export_span,
                 "seconds that the export files reach back, even if one workload has very many events; 0: no workload "
                 "is limited");
  app.add_option("--rules", options->rules.paths,
                 "file of detection rules as Falco has them, or directory of such files, read by name; may be given "
                 "several times: later ones build on earlier ones. Read again when they change, and at SIGHUP")
      ->check(CLI::ExistingPath);
  std::string rules_match = "first";
  app.add_option("--rules-match", rules_match, "which rules an event is reported for: the first that it meets, or all")
      ->check(CLI::IsMember({"first", "all"}));
  std::string rules_priority = "debug";
  app.add_option("--rules-priority", rules_priority, "lowest priority of the rules that are applied")
      ->check(
          [](const std::string& text) {
            return policy::rules::ParsePriority(text) ? std::string()
                                                      : "must be emergency, alert, critical, error, warning, notice, "
                                                        "informational or debug, not " +
                                                            text;
          },
          "PRIORITY");
  app.add_option("--rules-rate", options->rules_rate,
                 "detections a second that are reported, at most a share of them of one rule in one workload; 0: all");
  app.add_option("--rules-http", options->rules_http.url,
                 "URL that detections are posted to as Falco's JSON: falcosidekick's, for example")
      ->check([](const std::string& text) { return text.empty() ? std::string() : detect::UrlProblem(text); }, "URL");
  app.add_option("--rules-http-ca", options->rules_http.ca,
                 "PEM file of the CAs of the receiver's certificate; default: the system's");
  app.add_option("--rules-http-cert", options->rules_http.certificate,
                 "PEM file of the certificate that is shown to the receiver; these files are read again when they "
                 "change");
  app.add_option("--rules-http-key", options->rules_http.key, "PEM file of its key");
  app.add_option("--rules-syslog", options->rules_syslog,
                 "socket of a syslog daemon that detections are written to, /dev/log for example; empty: none");
  std::string rules_syslog_format = "text";
  app.add_option("--rules-syslog-format", rules_syslog_format, "text: Falco's line; json: its JSON")
      ->check(CLI::IsMember({"text", "json"}));
  app.add_option("--capture", options->capture,
                 "workloads whose last packets are kept, for `sluice capture` and --capture-on: namespace/name, "
                 "namespace/* or *; may be given several times")
      ->check(CaptureProblem, "WORKLOAD");
  app.add_option("--capture-on", options->capture_on,
                 "write the packets around such an alert of a workload to a file: denied (a packet that policy "
                 "denied, of workloads of --capture), hook, alert or detection (events of these types); may be given "
                 "several times")
      ->check(CLI::IsMember({"denied", "hook", "alert", "detection"}));
  app.add_option("--capture-snaplen", options->capture_snaplen, "bytes of each packet that are kept")
      ->check(CLI::Range(1U, static_cast<unsigned>(SL_CAPTURE_SNAPLEN_MAX)));
  app.add_option(
         "--capture-bytes", options->capture_bytes,
         "memory of the kernel for one workload's packets, in bytes, rounded down to a power of two; those that "
         "were dropped get a quarter more")
      ->check(CLI::Range(16384U, 64U << 20));
  app.add_option("--capture-memory", options->capture_memory, "memory of the kernel for all workloads' packets");
  app.add_option("--capture-before", options->capture_before, "seconds before an alert from which packets are written")
      ->check(CLI::Range(0U, 86400U));
  app.add_option("--capture-after", options->capture_after, "seconds after an alert in which packets are written")
      ->check(CLI::Range(0U, 3600U));
  app.add_option("--capture-interval", options->capture_interval,
                 "seconds between the files of one workload; alerts in between get none")
      ->check(CLI::Range(0U, 86400U));
  app.add_option("--capture-dir", options->capture_dir, "directory of the files; default: captures in --state-dir");
  app.add_option("--capture-dir-bytes", options->capture_dir_bytes,
                 "size of all files; the oldest ones of the workload with the most are removed")
      ->check(CLI::PositiveNumber);
  app.add_option("--forensics-max-bytes", options->forensics_max_bytes,
                 "files that Responses collect, in forensics/ of the state directory; the oldest ones make room")
      ->check(CLI::PositiveNumber);
  app.add_option("--otlp", options->otlp.endpoint,
                 "OpenTelemetry collector that events and metrics are sent to, by OTLP over gRPC: https://HOST:PORT, "
                 "http://HOST:PORT (without TLS) or unix:///PATH")
      ->check([](const std::string& text) { return text.empty() ? "" : otlp::EndpointProblem(text); }, "ADDRESS");
  app.add_option("--otlp-tls-ca", options->otlp.tls.ca,
                 "PEM file of the CAs of the collector's certificate; default: the system's");
  app.add_option("--otlp-tls-cert", options->otlp.tls.certificate,
                 "PEM file of the certificate that is shown to the collector; these files are read again when they "
                 "change");
  app.add_option("--otlp-tls-key", options->otlp.tls.key, "PEM file of its key");
  app.add_option("--otlp-headers", options->otlp.headers,
                 "file of headers for the collector, one `NAME: VALUE` a line, such as its token");
  app.add_option("--otlp-logs", options->otlp_logs,
                 "events that are sent as log records, with commas: denied (flows that policy denies, or would), flow "
                 "(all flows), exec, exit, fork, hook, alert, detection, response, change; or none")
      ->delimiter(',');
  app.add_option("--otlp-metrics-interval", options->otlp_metrics_interval,
                 "seconds between two times that all metrics are sent; 0: they are not")
      ->check(CLI::Range(0U, 86400U));
  app.add_option("--history", options->history,
                 "ended flows that are remembered, as many hook events, and as many execs and exits");
  app.add_option("--workload-series", options->workload_series,
                 "workloads with metrics of their own; the rest is `other`");
  app.add_option(
      "--process-series", options->process_series,
      "programs of workloads with metrics of their own, at most an eighth of them of one workload; the rest is "
      "`other`");
  app.add_option("--policy-series", options->policy_series,
                 "rules of policies with metrics of their own, at most an eighth of them of one namespace; the rest is "
                 "`other`");
  app.add_option("--max-addresses", options->max_addresses, "pod and node addresses");
  app.add_option("--max-prefixes", options->max_prefixes, "distinct prefixes of all ipBlocks");
  app.add_option("--max-peers", options->max_peers, "(ruleset, identity) pairs");
  app.add_option("--max-port-entries", options->max_port_entries, "port intervals");
  app.add_option("--max-flows", options->max_flows, "flows that are tracked");
  app.add_option("--max-denied-flows", options->max_denied_flows, "denied flows that are counted");
  app.add_option("--event-rate", options->event_rate,
                 "flow events a second for each workload, once for flows that it opens and once for those that come "
                 "from elsewhere; 0: no limit");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const std::vector<std::string> typed(argv + 1, argv + argc);
    const std::string file = app.get_config_ptr()->empty() ? "" : app.get_config_ptr()->as<std::string>();
    if (const std::string place = PlaceInFile(file, error.what(), typed); !place.empty()) {
      std::cerr << place << ": " << error.what() << "\n";
      return 2;
    }
    const int code = app.exit(error, std::cout, std::cerr);
    return code == 0 ? 0 : 2;
  }
  options->hubble.asked_for = app.count("--hubble-api") != 0;
  if (!options->hubble.asked_for) options->hubble.addresses = {api::AddressBeside(options->api.address, "hubble.sock")};
  std::erase(options->hubble.addresses, "");
  if (rules_match == "all") options->rules_match = policy::rules::MatchMode::kAll;
  options->rules.lowest = policy::rules::ParsePriority(rules_priority).value();  // checked
  if (rules_syslog_format == "json") options->rules_syslog_form = detect::SyslogSender::Form::kJson;
  for (const std::string& text : hubble_peers) options->hubble.peers.push_back(hubble::ParsePeer(text).value());
  for (const std::string& text : quarantine_allow) {
    options->quarantine_allow.push_back(policy::Prefix::Parse(text).value());  // checked
  }
  for (const std::string& text : node_labels) {
    const std::size_t equals = text.find('=');  // checked
    options->node_labels[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return -1;
}

}  // namespace sluice
