//! Builders that insert movies, people and nominations.

use sqlx::PgPool;

/// A movie to insert. Values that are not set are missing from the database.
#[derive(Debug, Clone)]
pub(crate) struct Movie {
    title: String,
    released: Option<String>,
    status: &'static str,
    sources: String,
    tmdb_data: Option<String>,
    metrics: Vec<(&'static str, &'static str, f64, &'static str)>,
    nominations: usize,
    wins: usize,
    genres: Vec<String>,
    countries: Vec<&'static str>,
    language: &'static str,
    imdb_id: Option<String>,
}

impl Movie {
    /// A full movie without a release date.
    pub(crate) fn new(title: &str) -> Self {
        Self {
            title: title.into(),
            released: None,
            status: "full",
            sources: "{}".into(),
            tmdb_data: None,
            metrics: vec![],
            nominations: 0,
            wins: 0,
            genres: vec![],
            countries: vec![],
            language: "en",
            imdb_id: None,
        }
    }

    pub(crate) fn released(mut self, day: &str) -> Self {
        self.released = Some(day.into());
        self
    }

    /// `import_status = 'soft'`.
    pub(crate) fn soft(mut self) -> Self {
        self.status = "soft";
        self
    }

    /// Adds it to these lists, instead of others.
    pub(crate) fn on(self, lists: &[&str]) -> Self {
        let entries: Vec<_> = lists.iter().map(|key| format!("\"{key}\": {{\"included\": true}}")).collect();
        self.sources(&format!("{{{}}}", entries.join(", ")))
    }

    /// Sets `canonical_sources` to this text: JSON, or "NULL".
    pub(crate) fn sources(mut self, json: &str) -> Self {
        self.sources = json.into();
        self
    }

    pub(crate) fn tmdb_data(mut self, json: &str) -> Self {
        self.tmdb_data = Some(json.into());
        self
    }

    /// Average ratings of TMDb and IMDb.
    pub(crate) fn rated(self, tmdb: f64, imdb: f64) -> Self {
        self.metric("tmdb", "rating_average", tmdb).metric("imdb", "rating_average", imdb)
    }

    /// Metascore and tomatometer.
    pub(crate) fn reviewed(self, metascore: f64, tomatometer: f64) -> Self {
        self.metric("metacritic", "metascore", metascore).metric("rotten_tomatoes", "tomatometer", tomatometer)
    }

    pub(crate) fn popularity(self, value: f64) -> Self {
        self.metric("tmdb", "popularity_score", value)
    }

    pub(crate) fn metric(self, source: &'static str, kind: &'static str, value: f64) -> Self {
        self.metric_with(source, kind, value, "{}")
    }

    /// A metric with its metadata, as JSON.
    pub(crate) fn metric_with(
        mut self,
        source: &'static str,
        kind: &'static str,
        value: f64,
        metadata: &'static str,
    ) -> Self {
        self.metrics.push((source, kind, value, metadata));
        self
    }

    /// Nominations without a nominee, and how many of them won.
    pub(crate) fn nominated(mut self, nominations: usize, wins: usize) -> Self {
        (self.nominations, self.wins) = (nominations, wins);
        self
    }

    pub(crate) fn genre(mut self, name: &str) -> Self {
        self.genres.push(name.into());
        self
    }

    /// Produced in this country, by code.
    pub(crate) fn country(mut self, code: &'static str) -> Self {
        self.countries.push(code);
        self
    }

    /// In this language, by code.
    pub(crate) fn language(mut self, code: &'static str) -> Self {
        self.language = code;
        self
    }

    pub(crate) fn imdb(mut self, id: &str) -> Self {
        self.imdb_id = Some(id.into());
        self
    }

    /// Inserts it; returns its id.
    pub(crate) async fn insert(&self, pool: &PgPool) -> i64 {
        let sources = (self.sources != "NULL").then_some(&self.sources);
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO movies (tmdb_id, title, release_date, import_status, canonical_sources, tmdb_data,
                                 original_language, imdb_id, inserted_at, updated_at)
             VALUES ((SELECT coalesce(max(tmdb_id), 0) + 1 FROM movies), $1, $2::date, $3, $4::jsonb, $5::jsonb, $6, $7,
                     now(), now())
             RETURNING id",
        )
        .bind(&self.title)
        .bind(&self.released)
        .bind(self.status)
        .bind(sources)
        .bind(&self.tmdb_data)
        .bind(self.language)
        .bind(&self.imdb_id)
        .fetch_one(pool)
        .await
        .unwrap();
        for (source, kind, value, metadata) in &self.metrics {
            sqlx::query(
                "INSERT INTO external_metrics (movie_id, source, metric_type, value, metadata, fetched_at, inserted_at,
                                               updated_at)
                 VALUES ($1, $2, $3, $4, $5::jsonb, now(), now(), now())",
            )
            .bind(id)
            .bind(source)
            .bind(kind)
            .bind(value)
            .bind(metadata)
            .execute(pool)
            .await
            .unwrap();
        }
        for number in 0..self.nominations {
            nomination(pool, id, &format!("Category {number}"), None, None, number < self.wins).await;
        }
        for name in &self.genres {
            sqlx::query(
                "WITH genre AS (
                     INSERT INTO genres (tmdb_id, name, inserted_at, updated_at)
                     SELECT (SELECT coalesce(max(tmdb_id), 0) + 1 FROM genres), $2, now(), now()
                     WHERE NOT EXISTS (SELECT FROM genres WHERE name = $2)
                     RETURNING id
                 )
                 INSERT INTO movie_genres SELECT $1, id FROM genre
                 UNION ALL SELECT $1, id FROM genres WHERE name = $2",
            )
            .bind(id)
            .bind(name)
            .execute(pool)
            .await
            .unwrap();
        }
        for code in &self.countries {
            sqlx::query(
                "WITH country AS (
                     INSERT INTO production_countries (iso_3166_1, name, inserted_at, updated_at)
                     VALUES ($2, 'Country ' || $2, now(), now())
                     ON CONFLICT (iso_3166_1) DO UPDATE SET name = excluded.name RETURNING id
                 )
                 INSERT INTO movie_production_countries SELECT $1, id FROM country",
            )
            .bind(id)
            .bind(code)
            .execute(pool)
            .await
            .unwrap();
        }
        id
    }
}

/// Inserts a person; returns the id.
pub(crate) async fn person(pool: &PgPool, name: &str) -> i64 {
    sqlx::query_scalar(
        "INSERT INTO people (tmdb_id, name, inserted_at, updated_at)
         VALUES ((SELECT coalesce(max(tmdb_id), 0) + 1 FROM people), $1, now(), now()) RETURNING id",
    )
    .bind(name)
    .fetch_one(pool)
    .await
    .unwrap()
}

/// Credits a person for a movie, as crew with this job or, with `None`, as cast.
pub(crate) async fn credit(pool: &PgPool, movie: i64, person: i64, job: Option<&str>) {
    sqlx::query(
        "INSERT INTO movie_credits (movie_id, person_id, credit_id, credit_type, department, job, inserted_at, updated_at)
         VALUES ($1, $2, gen_random_uuid()::text, CASE WHEN $3 IS NULL THEN 'cast' ELSE 'crew' END,
                 CASE WHEN $3 IS NOT NULL THEN 'Directing' END, $3, now(), now())",
    )
    .bind(movie)
    .bind(person)
    .bind(job)
    .execute(pool)
    .await
    .unwrap();
}

/// Inserts a person's quality, as another application might.
pub(crate) async fn quality(pool: &PgPool, person: i64, score: Option<f64>) {
    sqlx::query(
        "INSERT INTO person_metrics (person_id, metric_type, score, calculated_at, inserted_at, updated_at)
         VALUES ($1, 'quality_score', $2, now(), now(), now())",
    )
    .bind(person)
    .bind(score)
    .execute(pool)
    .await
    .unwrap();
}

/// Inserts a nomination with a nominee, linked to a person or only by name.
pub(crate) async fn nominee(pool: &PgPool, movie: i64, category: &str, name: &str, person: Option<i64>, won: bool) {
    nomination(pool, movie, category, Some(name), person, won).await;
}

async fn nomination(pool: &PgPool, movie: i64, category: &str, name: Option<&str>, person: Option<i64>, won: bool) {
    sqlx::query(
        "WITH organization AS (
             INSERT INTO festival_organizations (name, abbreviation, inserted_at, updated_at)
             VALUES ('The Academy', 'AMPAS', now(), now())
             ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id
         ), ceremony AS (
             INSERT INTO festival_ceremonies (organization_id, year, inserted_at, updated_at)
             SELECT id, 2000, now(), now() FROM organization
             ON CONFLICT (organization_id, year) DO UPDATE SET year = excluded.year RETURNING id
         ), category AS (
             INSERT INTO festival_categories (organization_id, name, inserted_at, updated_at)
             SELECT id, $2, now(), now() FROM organization
             ON CONFLICT (organization_id, name) DO UPDATE SET name = excluded.name RETURNING id
         )
         INSERT INTO festival_nominations (ceremony_id, category_id, movie_id, person_id, won, details, inserted_at,
                                           updated_at)
         SELECT ceremony.id, category.id, $1, $4, $5,
                CASE WHEN $3::text IS NULL THEN '{}' ELSE jsonb_build_object('nominee_names', $3::text) END, now(), now()
         FROM ceremony, category",
    )
    .bind(movie)
    .bind(category)
    .bind(name)
    .bind(person)
    .bind(won)
    .execute(pool)
    .await
    .unwrap();
}
