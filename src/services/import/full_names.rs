//! What an import adds to names in the files: full names of lists and organizations, and ids of genres.

/// Keys of lists, with their full names.
pub(super) const LISTS: [(&str, &str); 7] = [
    ("1001_movies", "1001 Movies You Must See Before You Die"),
    ("criterion", "The Criterion Collection"),
    ("sight_sound_critics_2022", "Sight and Sound Critics' Top 100 (2022)"),
    ("tspdt_1000", "TSPDT 1,000 Greatest Films"),
    ("national_film_registry", "National Film Registry"),
    ("afi_100", "AFI's 100 Years…100 Movies"),
    ("letterboxd_top_250", "Letterboxd Top 250"),
];

/// Abbreviations of award organizations, with their full names.
pub(super) const ORGANIZATIONS: [(&str, &str); 11] = [
    ("AMPAS", "Academy of Motion Picture Arts and Sciences"),
    ("CFF", "Cannes Film Festival"),
    ("VIFF", "Venice International Film Festival"),
    ("BIFF", "Berlin International Film Festival"),
    ("BAFTA", "British Academy of Film and Television Arts"),
    ("HFPA", "Hollywood Foreign Press Association"),
    ("CCA", "Critics Choice Association"),
    ("FISA", "Film Independent Spirit Awards"),
    ("CESAR", "César Awards"),
    ("SFF", "Sundance Film Festival"),
    ("TIFF", "Toronto International Film Festival"),
];

/// Movie genres, with their ids in TMDb (<https://developer.themoviedb.org/reference/genre-movie-list>).
pub(super) const GENRES: [(&str, i32); 19] = [
    ("Action", 28),
    ("Adventure", 12),
    ("Animation", 16),
    ("Comedy", 35),
    ("Crime", 80),
    ("Documentary", 99),
    ("Drama", 18),
    ("Family", 10751),
    ("Fantasy", 14),
    ("History", 36),
    ("Horror", 27),
    ("Music", 10402),
    ("Mystery", 9648),
    ("Romance", 10749),
    ("Science Fiction", 878),
    ("TV Movie", 10770),
    ("Thriller", 53),
    ("War", 10752),
    ("Western", 37),
];
