// The agent's command line and configuration file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bpf/abi/capture.h"
#include "bpf/abi/events.h"
#include "ctrl/api/server.h"
#include "ctrl/detect/http_sender.h"
#include "ctrl/detect/rule_files.h"
#include "ctrl/detect/syslog_sender.h"
#include "ctrl/hubble/hubble_api.h"
#include "ctrl/otlp/otlp_sender.h"
#include "ctrl/reconcile/state_store.h"
#include "ctrl/web/web_server.h"
#include "policy/resource/address.h"
#include "telemetry/process/redaction.h"

namespace sluice {

struct AgentOptions {
  std::string state_dir = reconcile::StateStore::kDefaultDirectory;
  std::string bpf_root = "/sys/fs/bpf/sluice";
  api::ServerOptions api{.address = "unix:///run/sluice/sluice.sock"};
  std::optional<std::string> tetragon_api;  // absent: TetragonApi::ServerFor says; empty: not served
  hubble::HubbleOptions hubble;
  api::ServerOptions kubearmor_api{.flag = "--kubearmor-api"};  // without an address: not served
  api::ServerOptions relay_api{.flag = "--relay-api", .tls_flags = "--relay-api-tls"};  // likewise
  web::WebOptions web;
  std::string metrics = "127.0.0.1:9464";
  std::vector<std::string> uplinks;
  std::string resources;
  std::string kube = "off";  // or "in-cluster", or the path of a kubeconfig file
  std::string cri = "auto";  // or "proc", or unix:///PATH
  std::string cni_socket = "/run/sluice/cni.sock";
  std::string services = "pods";  // or "off"
  std::vector<policy::Prefix> quarantine_allow;
  std::string node_name;  // default: the host's name
  policy::Labels node_labels;
  bool uninstall = false;
  bool debug = false;
  bool redirect = true;
  bool redirect_always = false;
  std::uint32_t redirect_recheck = 5;  // seconds
  bool keep_established = false;
  std::string process_sensors = "auto";
  std::uint32_t process_ring_bytes = 4U << 20;
  telemetry::Redaction::Options redaction;
  std::string export_file;             // empty: events are not exported
  std::string export_format = "json";  // or "tetragon-json", "kubearmor-json", "falco-json"
  std::uint64_t export_max_bytes = 64U << 20;
  std::uint32_t export_max_files = 5;
  std::uint32_t export_rate = 0;
  std::uint32_t export_span = 600;  // seconds
  detect::RuleFilesOptions rules;   // without paths: there are no detection rules
  policy::rules::MatchMode rules_match = policy::rules::MatchMode::kFirst;
  std::uint32_t rules_rate = 1000;
  detect::HttpReceiver rules_http;  // without a URL: none
  std::string rules_syslog;         // socket; empty: none
  detect::SyslogSender::Form rules_syslog_form = detect::SyslogSender::Form::kText;
  std::vector<std::string> capture;     // workloads whose last packets are kept
  std::vector<std::string> capture_on;  // "denied", "hook", "alert", "detection"
  std::uint32_t capture_snaplen = SL_CAPTURE_HEADERS;
  std::uint32_t capture_bytes = 256U << 10;  // of each workload
  std::uint64_t capture_memory = 64U << 20;  // of all
  std::uint32_t capture_before = 30;         // seconds
  std::uint32_t capture_after = 5;           // seconds
  std::uint32_t capture_interval = 30;       // seconds
  std::string capture_dir;                   // empty: "captures" in the state directory
  std::uint64_t capture_dir_bytes = 64U << 20;
  std::uint64_t forensics_max_bytes = std::uint64_t{1} << 30;
  otlp::OtlpReceiver otlp;  // without an endpoint: nothing is sent
  std::vector<std::string> otlp_logs = {"denied", "hook", "alert", "detection", "response", "change"};  // or "none"
  std::uint32_t otlp_metrics_interval = 0;  // seconds; 0: no metrics
  std::uint32_t history = 4096;
  std::uint32_t workload_series = 256;
  std::uint32_t process_series = 512;
  std::uint32_t policy_series = 512;
  std::uint32_t max_addresses = 131072;
  std::uint32_t max_prefixes = 131072;
  std::uint32_t max_peers = 1048576;
  std::uint32_t max_port_entries = 262144;
  std::uint32_t max_flows = 393216;
  std::uint32_t max_denied_flows = 32768;
  std::uint32_t event_rate = SL_EVENT_RATE;
};

// Returns -1 to go on, else the exit code (0 after --help, 2 after a message about what is wrong).
int ParseOptions(int argc, char** argv, AgentOptions* options);

}  // namespace sluice
