// What meets each rule of falco_rules.yaml, and a twin of it that does not.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "testbed/test_container.h"

namespace sluice::test {

// Where the Service of the API server is.
inline constexpr char kApiService[] = "10.96.0.1";
inline constexpr std::uint16_t kApiPort = 6443;

// A container of pod shop/web.
enum class Place {
  kContainer,
  kPrivileged,
  kTrusted,  // its image is one that Falco's rules trust
  kHost,     // in the pod's network namespace, but in no container
};

// Where Act::programs are found by name.
class Surroundings {
 public:
  Surroundings(std::string programs, std::string address, std::string other_address, const ContainerNotes& notes)
      : programs_(std::move(programs)), api_(std::move(address)), other_(std::move(other_address)), notes_(notes) {}
  std::string Program(const std::string& name) const { return name.starts_with('/') ? name : programs_ + "/" + name; }
  const std::string& api_address() const { return api_; }      // of the API server itself
  const std::string& other_address() const { return other_; }  // of a pod
  const ContainerNotes& notes() const { return notes_; }

 private:
  std::string programs_, api_, other_;
  const ContainerNotes& notes_;
};

using Body = std::function<void(const Surroundings&)>;

struct Act {
  Body body;
  Place place = Place::kContainer;
  NamedPrograms programs = {};
};

struct Trigger {
  std::string rule;
  Act does;
  // Fields of the rule's output. "@key": what the program has noted. "*": any value but none.
  std::map<std::string, std::string> fields;
  Act twin;
  std::vector<std::string> also = {};       // other rules that the act meets
  std::vector<std::string> twin_also = {};  // other rules that the twin meets
  std::string variant = {};                 // of several acts for one rule
};

std::vector<Trigger> Triggers();

// Begins a connection to the API server itself.
Body ConnectsToApiServer();

}  // namespace sluice::test
