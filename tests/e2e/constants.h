// What several e2e tests use.
#pragma once

#include <csignal>
#include <cstdint>

namespace sluice::test {

// The policies of the tests let this port in; the first three are one port under the name that a test knows it by.
inline constexpr std::uint16_t kPort = 1000, kOpen = 1000, kEcho = 1000;
inline constexpr std::uint16_t kClosed = 1001;
inline constexpr std::uint16_t kStream = 2000;

// The exit code of a program that SIGKILL ended, as a shell tells it.
inline constexpr int kKilled = 128 + SIGKILL;

// Isolates every pod of the namespace shop for ingress, and allows nothing.
inline constexpr const char* kDenyAll = R"(---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress]}
)";

}  // namespace sluice::test
