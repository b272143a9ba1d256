// Options that Python passes by name.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>

#include "routesig/signature.hpp"

/// The value whose name is `name`; `noun` and `what` are for the sentence that names the choices.
template <typename Enum>
Enum choice(const char* noun, const char* what, const std::string& name,
            std::initializer_list<std::pair<const char*, Enum>> choices) {
  std::string names;
  for (const auto& [text, value] : choices) {
    if (name == text) return value;
    names += (names.empty() ? "" : ", ") + std::string(text);
  }
  throw routesig::invalid_argument(noun, ": expected ", what, " to be one of ", names, ", got ", routesig::shown(name));
}

inline routesig::TokenSet token_set(const char* noun, const std::string& name) {
  using routesig::TokenSet;
  return choice<TokenSet>(noun, "tokens", name,
                          {{"all", TokenSet::all}, {"prompt", TokenSet::prompt}, {"generation", TokenSet::generation}});
}

inline routesig::Weighting weighting_of(const char* noun, const std::string& name) {
  using routesig::Weighting;
  return choice<Weighting>(noun, "weighting", name,
                           {{"count", Weighting::count}, {"gate", Weighting::gate}, {"top1", Weighting::top1}});
}
