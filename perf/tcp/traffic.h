// TCP between two network namespaces, by two threads: one stream, ping-pong of one byte, connections of one byte each.
// Rates are the median of short intervals. Thread-safe. A missing or wrong byte is an error.
#pragma once

#include <chrono>
#include <cstdint>
#include <set>
#include <string>

#include "base/status.h"

namespace sluice::perf {

struct TcpEnds {
  int client_netns = -1;
  int server_netns = -1;
  std::string server;  // IPv4
  std::uint16_t port = 0;
  std::uint16_t listens = 0;  // the server's port when something translates `port`; 0: `port`
  int client_cpu = 0;
  int server_cpu = 0;
};

// Megabits of payload a second, measured at the receiver.
StatusOr<double> Stream(const TcpEnds& ends, std::chrono::milliseconds duration);

struct RequestFigures {
  double per_second = 0;
  double p50_us = 0;
  double p99_us = 0;
};
// On one connection: one byte, its answer, the next byte.
StatusOr<RequestFigures> RequestResponse(const TcpEnds& ends, std::chrono::milliseconds duration);

// Connections a second: connect, one byte each way, reset (so that no port stays in TIME_WAIT).
StatusOr<double> ConnectClose(const TcpEnds& ends, std::chrono::milliseconds duration);

// The addresses at which the server gets so many connections, one after the other.
StatusOr<std::set<std::string>> ReachedAddresses(const TcpEnds& ends, int connections);

struct TcpDurations {
  std::chrono::milliseconds stream;
  std::chrono::milliseconds requests;
  std::chrono::milliseconds connections;
};
struct TcpFigures {
  double stream_mbits = 0;
  RequestFigures requests;
  double connections = 0;
};
// All three. The stream on two CPUs, the others on the measured one, whatever `ends` says: with two, waking an idle CPU
// would be most of the measured time.
StatusOr<TcpFigures> MeasureTcp(TcpEnds ends, const TcpDurations& durations);

}  // namespace sluice::perf
