// Documents for tests of the parser, and what it says of them.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "policy/resource/parser.h"

namespace sluice::policy {

inline std::vector<Resource> Parse(const std::string& text) {
  auto resources = ParseResources("f.yaml", text);
  EXPECT_TRUE(resources.ok()) << Message(resources.status());
  return resources.ok() ? *std::move(resources) : std::vector<Resource>(1);
}

inline std::string ErrorOf(const std::string& text) {
  const auto resources = ParseResources("f.yaml", text);
  return resources.ok() ? "no error" : Message(resources.status());
}

// As an error of ErrorOf begins.
inline std::string At(int line, const std::string& rest) { return fmt::format("f.yaml:{}: {}", line, rest); }

// A document of the kind in one line, with `rest` as further top-level fields.
inline std::string Policy(const std::string& spec, const std::string& metadata = "name: db, namespace: shop") {
  return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {" + metadata + "}\nspec:\n" + spec;
}
inline std::string SluicePolicy(const std::string& spec) {
  return "apiVersion: sluice.dev/v1alpha1\nkind: NetworkPolicy\nmetadata: {name: db, namespace: shop}\nspec:\n" + spec;
}
inline std::string ClusterPolicy(const std::string& spec, const std::string& metadata = "name: guard") {
  return "apiVersion: sluice.dev/v1alpha1\nkind: ClusterNetworkPolicy\nmetadata: {" + metadata + "}\nspec:\n" + spec;
}
inline std::string Workload(const std::string& spec) {
  return "apiVersion: sluice.dev/v1alpha1\nkind: Workload\nmetadata: {name: w}\nspec:\n" + spec;
}
inline std::string Pod(const std::string& rest) { return "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n" + rest; }
inline std::string Labelled(const std::string& labels) {
  return "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  labels:\n    " + labels + "\n";
}

}  // namespace sluice::policy
