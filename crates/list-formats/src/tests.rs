//! Exports in the forms in which they were found, with invented movies; and damaged ones.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::list_file::VALUE_MAX;
use super::*;
use std::collections::BTreeMap;

/// The exports in `samples`: name, content, format, rows, rows of other types.
macro_rules! samples {
    ($($name:literal, $format:ident, $rows:literal, $others:literal;)*) => {
        [$(($name, include_bytes!(concat!("../samples/", $name)).as_slice(), Format::$format, $rows, $others)),*]
    };
}

const SAMPLES: [(&str, &[u8], Format, usize, u64); 14] = samples! {
    "letterboxd-list-2021.csv", LetterboxdList, 5, 0;
    "letterboxd-list-v7.csv", LetterboxdList, 5, 0;
    "letterboxd-watched.csv", LetterboxdFilms, 4, 0;
    "letterboxd-ratings.csv", LetterboxdRatings, 2, 0;
    "letterboxd-diary.csv", LetterboxdDiary, 3, 0;
    "imdb-list-2020.csv", ImdbList, 3, 1;
    "imdb-watchlist-2024.csv", ImdbList, 2, 1;
    "imdb-list-2016.csv", ImdbList, 2, 1;
    "imdb-ratings.csv", ImdbRatings, 2, 1;
    "trakt-list.csv", TraktCsv, 3, 1;
    "trakt-list.json", TraktJson, 2, 1;
    "plain.txt", Plain, 7, 0;
    "own-semicolons.csv", Csv, 3, 0;
    "own-tabs.csv", Csv, 2, 0;
};

fn sample(name: &str) -> ListFile {
    let (_, bytes, ..) = SAMPLES.into_iter().find(|sample| sample.0 == name).unwrap();
    parse(bytes, None, "my-list").unwrap()
}

#[test]
fn exports_are_recognised_and_read_whole() {
    for (name, bytes, format, rows, others) in SAMPLES {
        let list = parse(bytes, None, "my-list").unwrap_or_else(|error| panic!("{name}: {error}"));
        let count = list.other_types.values().sum::<u64>();
        assert_eq!((list.format, list.rows.len(), count, list.missing_positions), (format, rows, others, 0), "{name}");
        assert_eq!(parse(bytes, Some(format.family()), "my-list"), Ok(list), "{name}");
    }
}

#[test]
fn every_line_ending_and_encoding_gives_the_same_rows() {
    for (name, bytes, ..) in SAMPLES {
        let list = parse(bytes, None, "my-list").unwrap();
        let (text, _) = text::decode(bytes).unwrap();
        let utf16: Vec<u8> = "\u{FEFF}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        for other in [
            text.replace('\n', "\r\n").into_bytes(),
            text.replace('\n', "\r").into_bytes(),
            format!("\u{FEFF}{text}").into_bytes(),
            text.trim_end().as_bytes().to_vec(),
            utf16,
        ] {
            assert_eq!(parse(&other, None, "my-list").unwrap().rows, list.rows, "{name}");
        }
    }
}

#[test]
fn quirks_of_exports_are_read() {
    let list = sample("letterboxd-list-v7.csv");
    assert_eq!(list.about.name.as_deref(), Some("Best, of all"));
    assert_eq!(list.about.url.as_deref(), Some("https://letterboxd.com/somebody/list/best-of-all/"));
    let titles: Vec<String> = list.rows.iter().map(Row::label).collect();
    assert_eq!(titles, ["…", "The \"Glass\" Ferry", "copper meridian", "North of Quill", "Sable Crossing"]);
    assert_eq!(list.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [7, 8, 11, 12, 13]);
    assert_eq!(sample("letterboxd-list-2021.csv").about.name.as_deref(), Some("Quiet Ones"));

    let latin1 = sample("imdb-list-2020.csv");
    assert_eq!((latin1.encoding, latin1.rows[0].titles.clone()), (Encoding::Latin1, vec!["Été à Quill".to_owned()]));
    assert_eq!(latin1.other_types, BTreeMap::from([("tvSeries".to_owned(), 1)]));
    assert_eq!(sample("imdb-watchlist-2024.csv").rows[0].titles, ["North of Quill", "Nord de Quill"]);
    assert_eq!(sample("imdb-list-2016.csv").rows[0].imdb_id.as_deref(), Some("tt9100002"));

    let watched = sample("letterboxd-watched.csv");
    assert!(watched.rows.iter().all(|row| row.position.is_none()));
    assert_eq!(watched.rows[1].year, None);

    let own = sample("own-semicolons.csv");
    assert_eq!(own.other_lists, BTreeMap::from([("other".to_owned(), 1)]));
    assert_eq!(own.rows[1].imdb_id.as_deref(), Some("tt9100002"));
    assert_eq!((own.rows[2].tmdb_id, own.rows[2].imdb_id.clone(), own.rows[2].edition.clone()), (None, None, None));

    let plain = sample("plain.txt");
    let ids: Vec<_> = plain.rows.iter().map(|row| (row.imdb_id.as_deref(), row.tmdb_id)).collect();
    let imdb = |id| (Some(id), None);
    assert_eq!(ids[..3], [imdb("tt9100001"), imdb("tt9100002"), (None, Some(7008))]);
    assert_eq!(ids[3..], [(None, Some(7009)), imdb("tt9100003"), (None, None), (None, None)]);
    assert_eq!((plain.rows[6].label(), plain.rows[6].year), ("Winter Ledger".to_owned(), Some(2014)));
}

#[test]
fn short_ids_and_addresses_of_other_sites_are_no_ids() {
    for (text, imdb, tmdb) in [
        ("tt0133093", Some("tt0133093"), None),
        ("0133093", Some("tt0133093"), None),
        ("tt13309", None, None),
        ("07", None, None),
        ("603", None, Some(603)),
        ("603.0", None, Some(603)),
        ("https://m.imdb.com/de/title/tt0133093#cast", Some("tt0133093"), None),
        ("https://www.imdb.com/title/tt133/", None, None),
        ("https://notimdb.com/title/tt0133093", None, None),
        ("https://example.org/?from=https://imdb.com/title/tt0133093", None, None),
        ("example.org/x://imdb.com/title/tt0133093", None, None),
        ("https://www.themoviedb.org/movie/603-the-matrix", None, Some(603)),
        ("https://notthemoviedb.org/movie/603", None, None),
        ("https://example.org/themoviedb.org/movie/603", None, None),
    ] {
        assert_eq!(any_id(text), (imdb.map(str::to_owned), tmdb), "{text}");
    }
    let list = parse(b"Name,Year,URL\nHeat,1995,https://notimdb.com/title/tt0133093\n", None, "my-list").unwrap();
    assert_eq!((list.rows[0].imdb_id.as_deref(), list.rows[0].label()), (None, "Heat".to_owned()));
}

#[test]
fn numbers_before_titles_are_no_ids() {
    for (line, title, year) in [
        ("12 Angry Men (1957)", "12 Angry Men", 1957),
        ("300 (2006)", "300", 2006),
        ("1917 (2019)", "1917", 2019),
        ("[REC] (2007)", "[REC]", 2007),
        ("3. 10 (1979)", "10", 1979),
        ("7) Se7en (1995)", "Se7en", 1995),
        ("1\tHeat (1995)", "Heat", 1995),
        ("- 21 Grams (2003)", "21 Grams", 2003),
        ("2.0 (2018)", "2.0", 2018),
        ("Ocean&#39;s Eleven &amp; more (2001)", "Ocean's Eleven & more", 2001),
        ("tt0113277 Heat (1995)", "Heat", 1995),
    ] {
        let list = parse(format!("{line}\n{line}\n").as_bytes(), None, "my-list").unwrap();
        let row = &list.rows[1];
        assert_eq!(
            (row.titles.as_slice(), row.year, row.tmdb_id),
            (&[title.to_owned()][..], Some(year), None),
            "{line}"
        );
    }
}

#[test]
fn lines_that_may_mean_several_movies_are_not_understood() {
    for (text, unread) in [
        ("tt0000001, tt0000002", &[0][..]),
        ("tt0000001 tt0000002;tt0000003\ntt0000004", &[0]),
        ("tt0000001\nhttps://www.imdb.com/title/tt0000002/ https://www.imdb.com/title/tt0000003/", &[1]),
        ("[a](https://www.imdb.com/title/tt0000002/) [b](https://www.imdb.com/title/tt0000003/)\ntt0000004", &[0]),
        ("0000001 0000002\n603 604\n605", &[0, 1]),
        ("tt0000001 https://www.imdb.com/title/tt0000001/\ntt0000002 themoviedb.org/movie/603", &[1]),
        // Numbers beside titles are titles or ids.
        ("Alien (1979)\n300\n1917\ntt0000001", &[1, 2]),
        ("603\n12 Monkeys\n8 1/2", &[0, 1, 2]),
        ("300\nHeat\n", &[0, 1]),
        ("300\n1917\ntt0000001\nhttps://letterboxd.com/film/heat-1995/", &[3]),
        ("300\n0133093\nthemoviedb.org/movie/603\n---", &[3]),
    ] {
        let list = parse(text.as_bytes(), None, "my-list").unwrap_or_else(|error| panic!("{text}: {error}"));
        let found: Vec<_> = (0..list.rows.len()).filter(|place| list.rows[*place].unread.is_some()).collect();
        assert_eq!(found, unread, "{text}");
    }
}

#[test]
fn one_id_is_read_wherever_it_stands_in_a_line() {
    for (line, title) in [
        ("1. tt0113277", None),
        ("12) https://www.imdb.com/title/tt0113277/", None),
        ("tt0113277 - Heat (1995)", Some("Heat")),
        ("3. Heat (1995) tt0113277", Some("Heat")),
        ("- [Heat](https://www.imdb.com/title/tt0113277/)", None),
        ("tt0113277, 12 Angry Men (1957)", Some("12 Angry Men")),
        ("tt0113277,", None),
    ] {
        let list = parse(format!("{line}\n").as_bytes(), None, "my-list").unwrap();
        let Row { imdb_id, titles, .. } = &list.rows[0];
        assert_eq!((imdb_id.as_deref(), titles.first().map(String::as_str)), (Some("tt0113277"), title), "{line}");
    }
}

#[test]
fn number_signs_begin_comments_and_titles() {
    let text =
        "#comment\n# Films of (2020)\n#Alive (2020)\n#1 The Matrix (1999)\n#2. Heat (1995)\n#tt0000001\n## (1990)\n#";
    let list = parse(text.as_bytes(), None, "my-list").unwrap();
    let titles: Vec<_> = list.rows.iter().map(|row| row.titles.join(" | ")).collect();
    assert_eq!(titles, ["#Alive", "#1 The Matrix | The Matrix", "#2. Heat | Heat"]);
    assert_eq!((list.comments, list.unended_line), (5, Some(8)));
}

#[test]
fn a_remark_among_many_ids_makes_none_of_them_a_title() {
    let ids: String = (1..=12).map(|number| format!("{number}\n")).collect();
    let list = parse(format!("{ids}Total: twelve films\n").as_bytes(), None, "my-list").unwrap();
    let unread: Vec<_> = list.rows.iter().filter(|row| row.unread.is_some()).map(|row| row.line).collect();
    assert_eq!(unread, [13]);
}

#[test]
fn lines_above_the_header_are_named_or_counted() {
    for (text, line) in [
        ("Alien,1979\nBlade Runner,1982\ntitle,year\nToy Story,1995\n", 1),
        ("My list;;\n;Alien;603\nyear;title;tmdb_id\n1995;Toy Story;862\n", 2),
        ("tt0000001\tA\n\nconst\ttitle\ntt0000002\tB\n", 1),
    ] {
        let error = parse(text.as_bytes(), None, "my-list").unwrap_err().to_string();
        assert!(error.starts_with(&format!("line {line} names a movie, but stands above the header")), "{error}");
    }
    let list = parse(b"Films of my life,2020\n\ntitle,year\nAlien,1979\n", None, "my-list").unwrap();
    assert_eq!((list.above_header, list.rows.len()), (1, 1), "a heading");
    let list = parse(b"My favourites,\nof all times\n\ntitle,year\nAlien,1979\n", None, "my-list").unwrap();
    assert_eq!((list.above_header, list.rows.len(), list.unended_line), (2, 1, None));
    assert!(SAMPLES.iter().all(|sample| parse(sample.1, None, "my-list").unwrap().above_header == 0));
}

#[test]
fn a_last_line_without_a_line_break_is_named() {
    for (text, line) in [
        ("title,year\r\nAlien,1979\r\nToy Story,19", Some(3)),
        ("title,year\nAlien,1979\n\n  ", None),
        ("62", Some(1)),
        ("[{\"type\":\"movie\",\"movie\":{\"title\":\"A\",\"year\":1990}}]", None),
    ] {
        assert_eq!(parse(text.as_bytes(), None, "my-list").unwrap().unended_line, line, "{text}");
    }
}

#[test]
fn columns_of_a_table_are_read_whole() {
    let read = |text: &str| read_columns(text, ["line", "movie"]);
    let row = |line, values: [&str; 2]| (line, values.map(str::to_owned));
    assert_eq!(read("Line;MOVIE ;;\r\n1; a ;;\n\n2;;\n"), Ok(Some(vec![row(2, ["1", "a"]), row(4, ["2", ""])])));
    assert_eq!(read("line,movie,note\n1,\"a,\nb\",\n"), Ok(Some(vec![row(2, ["1", "a,\nb"])])));
    for other in ["", "movie,line\n", "x,line,movie\n", "line\n"] {
        assert_eq!(read(other), Ok(None), "{other}");
    }
    for (text, line) in [
        ("line,movie,movie\n", 1),
        ("line,movie\n1,a\n2;b\n", 3),
        ("line,movie\n1,,a\n", 2),
        ("line,movie\n1,\"a\n2,b\n", 2),
        ("line,movie\n1,\"a\" b\n", 2),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("line {line}: ")), "{text}: {error}");
    }
}

#[test]
fn values_of_spreadsheets_are_read() {
    let file = "#;Titel;Jahr;tmdb;type\n0;Heat (1995);;949,0;movie;;\n1.0;Alien;1979;;Personal favourite\n#2;A;1990;;tv\n\u{1a}";
    let list = parse(file.as_bytes(), None, "my-list").unwrap();
    let rows: Vec<_> = list.rows.iter().map(|row| (row.position, row.label(), row.year, row.tmdb_id)).collect();
    assert_eq!(
        rows,
        [(Some(0), "Heat".to_owned(), Some(1995), Some(949)), (Some(1), "Alien".to_owned(), Some(1979), None)]
    );
    assert_eq!(list.other_types, BTreeMap::from([("tv".to_owned(), 1)]));
}

#[test]
fn what_is_no_list_is_named() {
    for (bytes, expected) in [
        (&b""[..], "the file is empty"),
        (b" \r\n ", "the file is empty"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"PK\x03\x04rest", "a ZIP archive, or a workbook of Excel (.xlsx)"),
        (b"\x1f\x8brest", "a gzip file"),
        (b"Dear all,\nhere is my list", "no known kind of list"),
        (b"a,b,c\n1,2,3\n", "no known kind of list"),
        (b"Position,Const,Title\n", "without rows"),
        (b"movieId,imdbId,tmdbId\n1,0114709,862\n", "give it to `import links`"),
        (b"tmdb_id;source;metric_type;value;fetched_at\n862;tmdb;budget;1;\n", "a table of metrics, not a list"),
        (b"tmdb_id,genre\n862,Comedy\n", "a table of genres, not a list"),
        (b"tconst\ttitleType\tprimaryTitle\ntt0000001\tmovie\tA\n", "give it to `import imdb`"),
        (b"list_key,tmdb_id\nother,603\n", "they are of the lists \"other\": 1; give one of these as the key"),
        (b"tmdb_id,type\n1396,tv\n", "their types are \"tv\": 1"),
        (b"line,position,title,year,problem,candidates,movie\n", "give the list itself, and this file with --resolve"),
        (b"Heat (1995)\nimdb\ntt0105236\n", "line 1 names a movie, but stands above the header on line 2"),
        (b"<?xml version=\"1.0\"?>", "an XML file"),
        (b"# a comment\n", "the file is empty"),
        (b"{\"rank\": 1}", "not JSON as Trakt's API returns it"),
        (b"Const,Title\ntt0000001,A\ntt0000002\n", "line 3: values in this row: 1, columns in the header: 2"),
        (b"Const,Title\ntt0000001,\"A\ntt0000002,B\n", "line 2: a quote is never closed"),
        (b"Const,Title\ntt1,\"A\" b\n", "line 2: a quote is never closed"),
        (b"Const,Const\ntt1,tt2\n", "column \"Const\" twice"),
        (b"Const,Title\n\n\nxx1,A\n", "line 4: column Const: \"xx1\" is not an IMDb id"),
        (b"tmdb_id,title\n-5,A\n", "column tmdb_id: \"-5\" is not a TMDb id"),
        (b"Position,Const\n1.5,tt0000001\n", "column Position: \"1.5\" is not a whole number"),
        ("Title,Year\nÉté,1990\nGl\u{fffd}\n".replace('\u{fffd}', "").as_bytes(), "line 3: values in this row"),
        (b"Title,Year\n\xc3\x89t\xc3\xa9,1990\nGl\xfc,1991\n", "line 3: the text is not UTF-8"),
    ] {
        let error = parse(bytes, None, "my-list").unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let error = parse(b"Const,Title\ntt0000001,A\n", Some(Family::Letterboxd), "my-list").unwrap_err().to_string();
    assert_eq!(
        error,
        "this is ratings of IMDb, not a file of the format letterboxd: leave the format out, or name the right one"
    );
}

#[test]
fn rows_are_bounded() {
    let ids: String = (1..=ROWS_MAX).map(|id| format!("{id}\n")).collect();
    assert_eq!(parse(ids.as_bytes(), None, "my-list").unwrap().rows.len(), ROWS_MAX);
    let error = parse(format!("{ids}1\n").as_bytes(), None, "my-list").unwrap_err();
    assert_eq!(error, ListFileError::TooManyRows { max: ROWS_MAX });
    let title = "x".repeat(VALUE_MAX + 1);
    let error = parse(format!("Title,Year\n{title},1990\n").as_bytes(), None, "my-list").unwrap_err();
    assert_eq!(error, ListFileError::damaged(2, RowProblem::TooLong { max: VALUE_MAX }));
}

/// Number of damages of each sample: `FUZZ_DAMAGES`, 300 unless set.
fn damages() -> u64 {
    std::env::var("FUZZ_DAMAGES").ok().map_or(300, |number| number.parse().unwrap())
}

/// Damages a file as transfers, editors and spreadsheets do: cuts it off, removes, doubles or changes a piece, or mixes
/// two files.
fn damaged(bytes: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.random_range(1..=3) {
        let start = random.random_range(0..=bytes.len());
        let end = bytes.len().min(start + random.random_range(0..40));
        match random.random_range(0..7) {
            0 => bytes.truncate(start),
            1 => drop(bytes.drain(start..end)),
            2 => drop(bytes.splice(start..start, bytes[start..end].to_vec())),
            3 => bytes.insert(start, b"\",\n\r;\t\0\xff"[random.random_range(0..8)]),
            4 => bytes.splice(start..end, "\u{202e}é\u{0}".bytes()).for_each(drop),
            5 => {
                let (_, other, ..) = SAMPLES[random.random_range(0..SAMPLES.len())];
                bytes.extend(&other[random.random_range(0..other.len())..]);
            }
            _ => bytes.iter_mut().skip(start).take(3).for_each(|byte| *byte = random.random()),
        }
    }
    bytes
}

#[test]
fn damaged_files_are_read_whole_or_not_at_all() {
    for (number, (name, bytes, ..)) in SAMPLES.into_iter().enumerate() {
        let mut random = ChaCha8Rng::seed_from_u64(number as u64);
        for _ in 0..damages() {
            let damaged = damaged(bytes, &mut random);
            match parse(&damaged, None, "my-list") {
                Err(error) => assert!(!error.to_string().is_empty()),
                Ok(list) => {
                    assert!(list.rows.is_sorted_by(|row, next| row.line < next.line), "{name}");
                    for row in &list.rows {
                        let id = row.imdb_id.as_ref().is_none_or(|id| imdb_id(id).as_ref() == Some(id));
                        let titles = row.titles.iter().all(|title| !title.is_empty());
                        assert!(id && titles && !row.label().contains(char::is_control), "{name}: {row:?}");
                    }
                }
            }
        }
    }
}
